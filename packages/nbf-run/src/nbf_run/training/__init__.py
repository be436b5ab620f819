"""``nbf-run train``: the regressor and the feature bank of a pipeline, trained together."""

from __future__ import annotations

__all__ = ["train"]


def __getattr__(name: str):
    if name == "train":
        from nbf_run.training.loop import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
