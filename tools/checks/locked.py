"""The lock, the constraints made from it and what the packages declare must agree. Uses no network."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

AGAIN = "run: python3 tools/dev.py lock"


def problems(root: Path) -> list[str]:
    """What does not agree."""
    lock_file, constraints_file = root / "poetry.lock", root / "tools" / "constraints.txt"
    for file in (lock_file, constraints_file):
        if not file.is_file():
            return [f"{file.name} is missing; {AGAIN}"]
    locked = tomllib.loads(lock_file.read_text(encoding="utf-8"))["package"]
    foreign = {(package["name"], package["version"]) for package in locked if not _is_ours(package)}
    exported = constraint_versions(constraints_file.read_text(encoding="utf-8"))
    found = [f"constraints.txt lacks {' '.join(pair)}; {AGAIN}" for pair in sorted(foreign - exported)]
    found += [f"poetry.lock lacks {' '.join(pair)}; {AGAIN}" for pair in sorted(exported - foreign)]
    ours = {package["name"]: package for package in locked if _is_ours(package)}
    versions: dict[str, set[str]] = {}
    for name, version in foreign:
        versions.setdefault(name, set()).add(version)
    for file in sorted([*root.glob("packages/*/pyproject.toml"), *root.glob("plugins/*/pyproject.toml")]):
        found += _package_problems(tomllib.loads(file.read_text(encoding="utf-8"))["project"], ours, versions)
    return found


def constraint_versions(text: str) -> set[tuple[str, str]]:
    """Names and versions in a constraints file."""
    pairs = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", text, re.MULTILINE)
    return {(canonicalize_name(name), version) for name, version in pairs}


def _is_ours(package: dict) -> bool:
    return package.get("source", {}).get("type") == "directory"


def _package_problems(project: dict, ours: dict[str, dict], versions: dict[str, set[str]]) -> list[str]:
    name = project["name"]
    if name not in ours:
        return [f"{name} is not in poetry.lock: name it in the root's pyproject.toml, then {AGAIN}"]
    found = []
    texts = list(project.get("dependencies", []))
    for extra in project.get("optional-dependencies", {}).values():
        texts += extra
    # A requirement for older Pythons than the lock is made for is not in it.
    declared = [r for r in map(Requirement, texts) if "python" not in str(r.marker) or r.marker.evaluate()]
    recorded = {canonicalize_name(other) for other in ours[name].get("dependencies", {})}
    # What only an extra needs that nobody here asks for is named in the lock, but not locked.
    extras = [Requirement(text) for extra in ours[name].get("extras", {}).values() for text in extra]
    recorded |= {canonicalize_name(requirement.name) for requirement in extras}
    for requirement in declared:
        other = canonicalize_name(requirement.name)
        if other not in recorded:
            found.append(f"{name} declares {other}, unknown to poetry.lock; {AGAIN}")
        elif other in versions and not any(requirement.specifier.contains(v) for v in versions[other]):
            found.append(f"{name} declares {requirement}, the lock has {sorted(versions[other])}; {AGAIN}")
    left_over = recorded - {canonicalize_name(requirement.name) for requirement in declared}
    found += [f"{name} needs no {other}, poetry.lock says it does; {AGAIN}" for other in sorted(left_over)]
    return found
