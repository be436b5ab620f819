"""What every package must have, and that it declares what it imports."""

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
    texts = list(project.get("dependencies", []))
    for extra in project.get("optional-dependencies", {}).values():
        texts += extra
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    own = project["name"].replace("-", "_")
    found = []
    for module, file in sorted(imported_modules(folder / "src").items()):
        if module == own or module in sys.stdlib_module_names:
            continue
        names = {canonicalize_name(owner) for owner in owners.get(module, [module])}
        if not names & declared:
            found.append(f"{file.relative_to(folder)} imports {module}, undeclared in pyproject.toml")
    return found


def imported_modules(folder: Path) -> dict[str, Path]:
    """Top-level modules imported anywhere below a folder, each with one file that does."""
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                found.setdefault(name.partition(".")[0], file)
    return found
