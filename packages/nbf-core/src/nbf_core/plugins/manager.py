"""Finds plugins, asks each for its records, and keeps what went wrong as data."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import os
from collections.abc import Iterable
from dataclasses import dataclass

import pluggy

from nbf_core.errors import PluginError
from nbf_core.plugins.hookspecs import CONTRACT, NbfSpecs
from nbf_core.plugins.records import KINDS, ComponentEntry, PipelineEntry, WeightsEntry

GROUP = "nbf"

# What to install for names that are known to exist but are not there.
KNOWN_PROVIDERS: dict[str, dict[str, str]] = {
    "body_models": {"anny": "nbf-body-anny", **dict.fromkeys(("smpl", "smplh", "smplx"), "nbf-body-models")},
    "renderers": {
        "gaussian": "nbf-renderers",
        "numba": "nbf-render-numba",
        "pytorch3d": "nbf-render-pytorch3d",
        "triton": "nbf-render-triton",
    },
    "feature_banks": {"nearest-memory": "nbf-feature-banks"},
    "regressors": {"pare-coke": "nbf-regressors"},
    "fitters": dict.fromkeys(("correspondence", "smplify", "staged"), "nbf-fitters"),
    "priors": dict.fromkeys(
        ("gaussian-pose", "joint", "joint-angle", "joint-limits", "mixture-pose", "shape", "smooth-joints", "vposer"),
        "nbf-fitters",
    ),
    "datasets": {
        **dict.fromkeys(("synthetic", "synthetic-film"), "nbf-data-synthetic"),
        "pose2sim": "nbf-data-pose2sim",
        **dict.fromkeys(("humandata", "image-folder", "mixed"), "nbf-datasets"),
    },
    "detectors": {"blazepose": "nbf-detect-blazepose"},
    "metrics": dict.fromkeys(
        (
            *("mpjpe", "pa-mpjpe", "pve", "pckh", "3dpck", "3dpck-auc", "pa-3dpck", "pa-3dpck-auc"),
            *("acceleration", "occlusion-iou"),
        ),
        "nbf-metrics",
    ),
    "protocols": dict.fromkeys(("adversarial", "clean", "file", "grid", "varying"), "nbf-datasets"),
    "weights": {"small": "nbf-model-small", "small-lift": "nbf-model-small", "blazepose-full": "nbf-detect-blazepose"},
    "pipelines": {
        **dict.fromkeys(
            (
                *(
                    "demo",
                    "correspondence",
                    "smplify",
                    "unbiased",
                    "pose2sim",
                    "3dnbf-fit",
                    "3dnbf-stage1",
                    "3dnbf-stage2",
                ),
                *("bench", "film", "swap", "evaluation", "table1-methods", "table2-fitters", "table3-ablations", "all"),
            ),
            "nbf-run",
        ),
        **dict.fromkeys(("small", "small-fine", "small-ground"), "nbf-model-small"),
    },
}

Entry = ComponentEntry | PipelineEntry | WeightsEntry


@dataclass(frozen=True)
class Failure:
    """Why a plugin, or one of its hooks, cannot be used."""

    plugin: str
    reason: str


class PluginManager:
    """All components that are installed, by kind and name.

    ``failures`` holds what is broken; it never raises on its own: only asking for a missing name does.
    """

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(GROUP)
        self._pluggy.add_hookspecs(NbfSpecs)
        self._entries: dict[str, dict[str, tuple[str, Entry]]] | None = None
        self._clashes: dict[tuple[str, str], str] = {}
        self.failures: list[Failure] = []

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin module or object; a wrong contract or a misspelt hook becomes a failure."""
        version = getattr(plugin, "NBF_CONTRACT", None)
        if version != CONTRACT:
            said = f"was written for contract {version}"
            if version is None:
                said = "does not say what contract it was written for (NBF_CONTRACT is missing)"
            self._fail(name, f"{said}, this nbf speaks {CONTRACT}")
            return
        if self._pluggy.is_registered(plugin):
            return  # named by two entry points
        try:
            self._pluggy.register(plugin, name=name)
        except (ValueError, pluggy.PluginValidationError) as error:
            self._fail(name, " ".join(str(error).split()))
            if self._pluggy.is_registered(plugin):
                self._pluggy.unregister(plugin)
            return
        problems = _hook_problems(plugin)
        if problems:
            self._fail(name, "; ".join(problems))
            self._pluggy.unregister(plugin)
        self._entries = None

    def load_installed(self, only: Iterable[str] | None = None) -> None:
        """Register every installed entry point of the group ``nbf`` (those of ``only`` where given).

        A plugin is meant by its distribution's name or by its module's.
        """
        wanted = None if only is None else {name.replace("_", "-") for name in only}
        met: set[str] = set()
        for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: (e.value, e.name)):
            distribution = entry.dist.name if entry.dist else entry.value
            module = entry.value.partition(".")[0]
            names = {distribution.replace("_", "-"), module.replace("_", "-")}
            if wanted is not None and not names & wanted:
                continue
            met |= names
            try:
                plugin = entry.load()
            except Exception as error:  # a broken plugin is data: whatever it raises, the others must load
                self._fail(distribution, f"cannot be imported: {type(error).__name__}: {error}")
                continue
            # A distribution may bring several plugins; each needs a name of its own.
            taken = self._pluggy.has_plugin(distribution)
            self.register(plugin, f"{distribution} ({entry.value})" if taken else distribution)
        for name in sorted((wanted or set()) - met):
            self._fail(name, "asked for in NBF_LOAD_PLUGINS, and no such plugin is installed")

    def entries(self, kind: str) -> dict[str, Entry]:
        """All records of a kind (``renderers``, ``pipelines``, ...) by name, sorted."""
        return {name: entry for name, (_, entry) in sorted(self._collected()[kind].items())}

    def provider(self, kind: str, name: str) -> str:
        """The plugin that provides a name."""
        return self._collected()[kind][name][0]

    def get(self, kind: str, name: str) -> Entry:
        """One record. Raises PluginError listing the choices, the nearest match and what to install."""
        found = self._collected()[kind]
        if name in found:
            return found[name][1]
        if (kind, name) in self._clashes:
            raise PluginError(self._clashes[kind, name])
        label = kind if kind == "weights" else kind.removesuffix("s").replace("_", " ")
        lines = [f"no {label} named {name!r}"]
        near = difflib.get_close_matches(name, found, n=1)
        if near:
            lines.append(f"did you mean {near[0]!r}?")
        provider = KNOWN_PROVIDERS.get(kind, {}).get(name)
        if provider:
            lines.append(f"it is provided by {provider}: pip install {provider}")
        lines.append("installed: " + (", ".join(sorted(found)) or "none"))
        broken = [f"{failure.plugin} ({failure.reason})" for failure in self.failures]
        if broken:
            lines.append("broken plugins: " + "; ".join(broken))
        raise PluginError("; ".join(lines))

    def _collected(self) -> dict[str, dict[str, tuple[str, Entry]]]:
        if self._entries is None:
            self._entries = {kind: self._collect(kind) for kind in (*KINDS, "pipelines", "weights")}
        return self._entries

    def _collect(self, kind: str) -> dict[str, tuple[str, Entry]]:
        found: dict[str, tuple[str, Entry]] = {}
        hook = getattr(self._pluggy.hook, f"nbf_{kind}")
        # One by one, so that a failure carries the plugin's name and costs only that plugin.
        for implementation in hook.get_hookimpls():
            plugin = implementation.plugin_name
            try:
                entries = [_checked(entry, kind) for entry in implementation.function() or ()]
            except Exception as error:  # same reason as above
                self._fail(plugin, f"{hook.name} raised {type(error).__name__}: {error}")
                continue
            for entry in entries:
                if entry.name in found:
                    self._clash(kind, entry.name, found[entry.name][0], plugin)
                else:
                    found[entry.name] = (plugin, entry)
        # Neither of two plugins is preferred: which one came first is an accident.
        return {name: item for name, item in found.items() if (kind, name) not in self._clashes}

    def _clash(self, kind: str, name: str, first: str, second: str) -> None:
        reason = f"two {kind} are named {name!r}: from {first} and from {second}; uninstall one, or leave it out"
        self._clashes[kind, name] = reason
        self._fail(first, reason)
        self._fail(second, reason)

    def _fail(self, plugin: str, reason: str) -> None:
        failure = Failure(plugin, reason)
        if failure not in self.failures:
            self.failures.append(failure)


def _checked(entry: Entry, kind: str) -> Entry:
    record = {"pipelines": PipelineEntry, "weights": WeightsEntry}.get(kind, ComponentEntry)
    if not isinstance(entry, record):
        raise TypeError(f"expected {record.__name__}, got {entry!r}")
    return entry


def _hook_problems(plugin: object) -> list[str]:
    """What a plugin's author meant as a hook and pluggy would pass over in silence."""
    known = [name for name in vars(NbfSpecs) if name.startswith("nbf_")]
    problems = []
    for name in dir(plugin):
        value = getattr(plugin, name)
        if not name.startswith("nbf_") or not callable(value):
            continue  # a module such as nbf_core may well be imported under its name
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            problems.append(f"unknown hook {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
        elif not hasattr(value, "nbf_impl"):
            problems.append(f"{name} is not marked with @hookimpl")
    return problems


@functools.lru_cache(maxsize=1)
def get_plugin_manager() -> PluginManager:
    """The manager with all installed plugins (``NBF_LOAD_PLUGINS=a,b`` limits which)."""
    manager = PluginManager()
    limit = os.environ.get("NBF_LOAD_PLUGINS")
    only = None if not limit else [name.strip() for name in limit.split(",") if name.strip()]
    manager.load_installed(only)
    return manager
