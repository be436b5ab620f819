"""What every package must have; that it and its tests declare what they import; that nothing private is imported."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def problems(root: Path) -> list[str]:
    """What is missing or undeclared, over all packages and plugins."""
    found = []
    owners = importlib.metadata.packages_distributions()
    for file in sorted([*root.glob("packages/*/pyproject.toml"), *root.glob("plugins/*/pyproject.toml")]):
        folder = file.parent
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        found += [f"{folder.name}: {problem}" for problem in _form(folder, data)]
        found += [f"{folder.name}: {problem}" for problem in _imports(folder, data["project"], owners)]
        found += [f"{folder.name}: {problem}" for problem in _test_imports(folder, data, owners)]
        found += [f"{folder.name}: {problem}" for problem in _private_imports(folder)]
    return found


def _form(folder: Path, data: dict) -> list[str]:
    project, name = data["project"], folder.name
    found = []
    if project["name"] != name:
        found.append(f"its distribution is called {project['name']}")
    module = folder / "src" / name.replace("-", "_")
    if not (module / "__init__.py").is_file():
        found.append(f"has no {module.relative_to(folder)}/__init__.py")
    if not (folder / "README.md").is_file():
        found.append("has no README.md")
    if not list(folder.glob("tests/**/test_*.py")):
        found.append("has no tests")
    if project.get("requires-python") != ">=3.10":
        found.append("requires-python is not >=3.10")
    for text in project.get("dependencies", []):
        # Paths belong under [tool.poetry.dependencies] only, so that wheels carry none.
        if "@" in text:
            found.append(f"dependency with an address: {text}")
        if re.match(r"nbf-[\w-]+\s*$", text):
            found.append(f"sibling without a version range: {text}")
    for target in project.get("entry-points", {}).get("nbf", {}).values():
        plugin = folder / "src" / (target.replace(".", "/") + ".py")
        if not plugin.is_file():
            found.append(f"entry point {target} does not exist")
        elif "NBF_CONTRACT" not in plugin.read_text(encoding="utf-8"):
            found.append(f"{target} states no NBF_CONTRACT")
    return found


def _imports(folder: Path, project: dict, owners: dict[str, list[str]]) -> list[str]:
    declared = {canonicalize_name(Requirement(text).name) for text in _declared(project)}
    own = project["name"].replace("-", "_")
    found = []
    for module, file in sorted(imported_modules(folder / "src").items()):
        if module == own or module in sys.stdlib_module_names:
            continue
        names = {canonicalize_name(owner) for owner in owners.get(module, [module])}
        if not names & declared:
            found.append(f"{file.relative_to(folder)} imports {module}, undeclared in pyproject.toml")
    return found


def _test_imports(folder: Path, data: dict, owners: dict[str, list[str]]) -> list[str]:
    """Tests may import what the package declares, and what its dependency group ``test`` names."""
    declared = {canonicalize_name(Requirement(text).name) for text in _declared(data["project"])}
    declared |= {
        canonicalize_name(Requirement(text).name) for text in data.get("dependency-groups", {}).get("test", ())
    }
    local = {path.stem for path in (folder / "tests").rglob("*")} | {folder.name.replace("-", "_")}
    found = []
    for module, file in sorted(imported_modules(folder / "tests").items()):
        names = {canonicalize_name(owner) for owner in owners.get(module, [module])}
        optional = re.search(rf'importorskip\(\s*"{module}\b', file.read_text(encoding="utf-8"))
        if module not in local | sys.stdlib_module_names and not names & declared and not optional:
            found.append(f"{file.relative_to(folder)} imports {module}, which the dependency group test lacks")
    return found


def _private_imports(folder: Path) -> list[str]:
    """What begins with an underscore belongs to its package alone, and to that package's tests."""
    own = folder.name.replace("-", "_")
    found = []
    for file in sorted([*(folder / "src").rglob("*.py"), *(folder / "tests").rglob("*.py")]):
        for name in sorted(set(_names(file))):
            top, *rest = name.split(".")
            if top.startswith("nbf_") and top != own and any(part.startswith("_") for part in rest):
                found.append(f"{file.relative_to(folder)} imports {name}, which is private")
    return found


def _names(file: Path) -> list[str]:
    """Everything that a file imports, with dots; of ``from a import b`` it is ``a.b``."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _declared(project: dict) -> list[str]:
    extras = project.get("optional-dependencies", {}).values()
    return [*project.get("dependencies", []), *(text for texts in extras for text in texts)]


def imported_modules(folder: Path) -> dict[str, Path]:
    """Top-level modules imported anywhere below a folder, each with one file that does."""
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.py")):
        for name in _names(file):
            found.setdefault(name.partition(".")[0], file)
    return found
