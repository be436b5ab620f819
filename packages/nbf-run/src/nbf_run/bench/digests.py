"""Names for results, made of everything they depend on: what has the same name need not be computed again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from nbf_core.config import Pipeline
from nbf_core.plugins import get_plugin_manager
from nbf_run.jsons import plain

LENGTH = 16


def digest(value: Any) -> str:
    """A short name of anything that JSON can say."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


@lru_cache(maxsize=32)
def file_digest(path: Path) -> str:
    """A short name of a file's content."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()[:LENGTH]


def component_facts(pipeline: Pipeline, sections: Iterable[str]) -> dict[str, Any]:
    """What decides the results of some sections: components, where they come from, all options."""
    facts = {}
    for name in sections:
        section = pipeline.sections.get(name)
        if section is not None:
            provider = get_plugin_manager().provider(section.kind, section.use)
            options = section.config.model_dump(mode="json")
            facts[name] = {"use": section.use, "from": provider, "version": version(provider), "options": options}
    return facts


@lru_cache(maxsize=256)
def version(distribution: str) -> str | None:
    """The installed version of a plugin's distribution; None for one that was registered by hand."""
    try:
        return importlib.metadata.version(distribution.partition(" ")[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
