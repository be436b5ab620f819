"""The ``[bench]`` section of a pipeline. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nbf_core.config import Config
from nbf_core.config.pipeline import check
from nbf_core.errors import ConfigError, PluginError
from nbf_core.plugins import get_plugin_manager

SET_SECTIONS = ("data", "body", "regressor", "bank", "fit", "priors")
METHOD_SECTIONS = ("fitter", "renderer", "priors", "regressor", "bank")


class SetOptions(Config):
    """``[bench.sets.NAME]``: people with a known body.

    ``set`` changes the pipeline for this set (its sections ``data``, ``body``, ``regressor``, ``bank``, ``priors`` and
    ``fit``). ``samples``: the first so many, all where None; at most ``bench.samples``. ``optional``: where data,
    plugin or weights are missing the set is left out, and the report says what is missing. ``joints`` are those that
    joint metrics compare: the body's 24, or out of the 17 of the Human3.6M regressor the 14 of Leeds Sports Pose, or
    all. ``truth``: what they are compared with: the joints of the true body, or, where a person has annotated 3D
    joints, these. ``visible_only``: the numbers of tables are those over visible joints. ``published``: which column
    group of published tables this set is; a set without it is never comparable with them.
    """

    about: str = ""
    set: Annotated[dict[str, Any], BeforeValidator(lambda value: flat(value, SET_SECTIONS))] = {}
    samples: int | None = Field(None, ge=1)
    optional: bool = False
    joints: Literal["smpl-24", "lsp-14", "lsp-17"] = "smpl-24"
    visible_only: bool = False
    published: str | None = None
    truth: Literal["body", "joints"] = "body"


class ProtocolOptions(BaseModel):
    """``[bench.protocols.NAME]``: an occlusion protocol. Keys beside these are the component's own.

    ``use`` names the component (the table's name unless given). ``samples``: only the first so many people of a set.
    ``positions``: a person who has more occluders to be measured under is measured under so many of them, drawn by
    the seed and the person's index; None: under all.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str | None = None
    about: str = ""
    samples: int | None = Field(None, ge=1)
    positions: int | None = Field(None, ge=1)

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options."""
        return dict(self.model_extra or {})

    def component_config(self, name: str) -> Config:
        """The component's configuration. Raises ConfigError or PluginError naming the table and the key."""
        try:
            model = get_plugin_manager().get("protocols", self.use or name).load_config()
        except PluginError as error:
            raise PluginError(f"protocols.{name}.use: {error}") from error
        try:
            return check(model, self.options, f"protocols.{name}", "bench")
        except ConfigError as error:
            raise ConfigError(str(error).removeprefix("bench: ")) from error


class MethodOptions(Config):
    """``[bench.methods.NAME]``: one way from the start to a body.

    ``fit`` false takes the start as it is. ``start`` "truth" measures how far the fit drifts from the true
    body. ``keypoints`` false hides the detected keypoints from the fitter. ``trust`` is the weight of the
    features in [0, 1]; None: what their measured quality deserves. ``film`` fits the frames of a film together, where
    the set has films and the fitter can; otherwise everybody is fitted alone. ``set`` changes the sections ``fitter``,
    ``renderer``, ``priors``, ``regressor`` and ``bank``, such as ``"fitter.use" = "smplify"``. ``optional``: left out,
    and said to be missing, where it cannot be built. ``published``: the row of a published table that it stands beside.
    """

    about: str = ""
    fit: bool = True
    start: Literal["regressor", "truth"] = "regressor"
    keypoints: bool = True
    trust: float | None = Field(None, ge=0, le=1)
    film: bool = False
    set: Annotated[dict[str, Any], BeforeValidator(lambda value: flat(value, METHOD_SECTIONS))] = {}
    optional: bool = False
    published: str | None = None


class Block(Config):
    """``[[bench.matrix]]``: every set under every protocol by every method named; None: all there are.

    ``cases`` names cases of the protocols, None: all of each.
    """

    sets: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    cases: tuple[str, ...] | None = None


class Answer(Config):
    """``[bench.answer]``: whose gain over what the head of the page tells; by default the first fit over its start."""

    method: str | None = None
    against: str | None = None
    rival: str | None = None
    metric: str | None = None


def _defaults() -> dict[str, Any]:
    return {"start": {"fit": False}, "fit": {}}


class BenchOptions(Config):
    """``[bench]``: which people, under which occluders, by which methods, measured how.

    ``include`` names other pipelines that are benchmarked instead, each in a folder of its own. At most ``samples``
    people of a set are used. ``batch`` people are fitted together, and finished together: what a kill loses (of a set
    of films it is up to ``fit.window`` frames of one).
    ``devices`` has one process each: "cpu" (several share the cores), "cuda", "cuda:1"; empty: ``fit.device`` in this
    process. ``search_batch`` pictures are looked at together when the worst occluder is searched. ``confidence`` is
    that of the bootstrap intervals, made of ``resamples`` resamples of the people. ``published`` names published
    tables to show beside the numbers, ``columns`` their columns by "protocol" or "protocol case" of ours. ``pictures``
    of the best and as many of the worst cases are shown.
    """

    include: tuple[str, ...] = ()
    samples: int = Field(100, ge=1)
    batch: int = Field(8, ge=1)
    search_batch: int = Field(32, ge=1)
    devices: tuple[str, ...] = ()
    metrics: tuple[str, ...] = Field(("mpjpe", "pa-mpjpe", "pve", "pckh", "3dpck"), min_length=1)
    sets: dict[str, SetOptions] = Field(default_factory=lambda: {"data": SetOptions()}, min_length=1)
    protocols: dict[str, ProtocolOptions] = Field(default_factory=lambda: {"clean": ProtocolOptions()}, min_length=1)
    methods: dict[str, MethodOptions] = Field(
        default_factory=lambda: {name: MethodOptions(**value) for name, value in _defaults().items()}, min_length=1
    )
    matrix: tuple[Block, ...] = Field((Block(),), min_length=1)
    answer: Answer = Answer()
    published: tuple[str, ...] = ()
    columns: dict[str, str] = {}
    pictures: int = Field(3, ge=0)
    confidence: float = Field(0.95, gt=0, lt=1)
    resamples: int = Field(2000, ge=10)

    @model_validator(mode="before")
    @classmethod
    def _one_block(cls, value: Any) -> Any:
        """``[bench.matrix]`` is the short way to write one block."""
        if isinstance(value, Mapping) and isinstance(value.get("matrix"), Mapping):
            return {**value, "matrix": [value["matrix"]]}
        return value

    @model_validator(mode="after")
    def _known(self) -> BenchOptions:
        for number, block in enumerate(self.matrix):
            for key in ("sets", "protocols", "methods"):
                known = getattr(self, key)
                for name in getattr(block, key) or ():
                    if name not in known:
                        raise ValueError(f"matrix.{number}.{key}: no {key[:-1]} named {name!r}; known: {_list(known)}")
        for key in ("method", "against", "rival"):
            name = getattr(self.answer, key)
            if name is not None and name not in self.methods:
                raise ValueError(f"answer.{key}: no method named {name!r}; known: {_list(self.methods)}")
        installed = get_plugin_manager().entries("protocols")
        for name, protocol in self.protocols.items():
            if (protocol.use or name) in installed:  # one that is not is an error only where it is used
                protocol.component_config(name)
        return self


def flat(values: Any, sections: Iterable[str]) -> dict[str, Any]:
    """Nested tables as dotted keys. Raises ValueError for a key outside ``sections``."""
    if not isinstance(values, Mapping):
        raise ValueError("expected a table of keys")
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key.partition(".")[0] not in sections:
            raise ValueError(f"{key}: only keys of {', '.join(sections)} can be set here")
        if isinstance(value, Mapping) and value:
            found |= flat({f"{key}.{inner}": entry for inner, entry in value.items()}, sections)
        else:
            found[key] = value
    return found


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
