"""Options of the compiled renderer. Imports neither torch nor numba."""

from __future__ import annotations

from pydantic import Field

from nbf_renderers.config import GaussianConfig


class NumbaConfig(GaussianConfig):
    """The options of :class:`nbf_renderers.GaussianConfig`, and how many threads draw."""

    threads: int | None = Field(
        None,
        ge=1,
        description="how many threads draw one call, the caller's included; by default as many as torch uses, "
        "which is all cores unless told otherwise, and one in the workers of a data loader",
    )
