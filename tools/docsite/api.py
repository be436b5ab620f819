"""The public surface of each package, for the pages that mkdocstrings fills from docstrings.

Public is what the package's ``__init__`` lists, the classes that its plugin offers, and what its README names; of
nbf-core, which everybody builds on, every module.
"""

from __future__ import annotations

import ast
import re
from functools import cached_property
from pathlib import Path

from our_packages import Package

from nbf_core.plugins import KINDS, get_plugin_manager

_NAMED = re.compile(r"\b(nbf_[a-z0-9_]+(?:\.[A-Za-z_]\w*)+)\b(?!/)")
_OPTIONS = ("    options:", "      heading_level: 3")
_IMPORTS = re.compile(r"^from (nbf_[\w.]+) import ([\w, ]+)", re.MULTILINE)


class Documented(Package):
    """One package of the repository, and what of it is public."""

    @cached_property
    def public(self) -> dict[str, dict[str, list[str]]]:
        """What is public by the place that it is imported from, and there by the module that defines it.

        A module that is named as a whole has all of its public names; a package's own module none, its docstring alone.
        """
        found: dict[str, dict[str, set[str]]] = {}
        for name in [*self._listed(self.module), *self._offered(), *self._written_about()]:
            place = self.resolve(name)
            if place:
                module, member = place
                parts = module.split(".")
                listed = f"{self.module}.{member}" in self._listed(self.module)
                where = self.module if listed else ".".join(parts[:2]) if self.name == "nbf-core" else module
                names = {member} if member else self._all_names(module)
                found.setdefault(where, {}).setdefault(module, set()).update(names)
        return {
            where: {module: sorted(modules[module]) for module in sorted(modules)}
            for where, modules in sorted(found.items())
        }

    def resolve(self, name: str) -> tuple[str, str] | None:
        """Where a dotted name is defined: (module, class or function); an empty second part means the module.

        None for what this package does not define, or what is private.
        """
        parts = name.split(".")
        if parts[0] != self.module or any(part.startswith("_") for part in parts[1:-1]):
            return None
        for cut in range(len(parts), 0, -1):
            path = self._file(parts[:cut])
            if path is None:
                continue
            module, rest = ".".join(parts[:cut]), parts[cut:]
            if not rest:
                return (module, "") if cut > 1 else None
            return self._defined(path, module, rest[0])
        return None

    def _file(self, parts: list[str]) -> Path | None:
        base = self.folder / "src" / Path(*parts)
        return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)

    def _defined(self, path: Path, module: str, name: str) -> tuple[str, str] | None:
        homes: dict[str, str] = {}
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return module, name
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AnnAssign) and name in [getattr(one, "id", "") for one in targets]:
                return module, name
            if isinstance(node, ast.ImportFrom) and node.module and name in [one.name for one in node.names]:
                return self.resolve(f"{node.module}.{name}")
            if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in targets] == ["_HOMES"]:
                homes = ast.literal_eval(node.value)
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "_HOMES":
                homes = ast.literal_eval(node.value)
        return (homes[name], name) if name in homes else None

    def _all_names(self, module: str) -> set[str]:
        """Classes, functions, and constants that have a docstring."""
        path = self._file(module.split("."))
        if path is None or path.name == "__init__.py":
            return set()
        body = ast.parse(path.read_text("utf-8")).body
        names = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        for node, after in zip(body, body[1:], strict=False):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if said and isinstance(node, ast.Assign | ast.AnnAssign):
                names.add(getattr(getattr(node, "target", None) or node.targets[0], "id", "_"))
        return {name for name in names if not name.startswith("_")}

    def _listed(self, module: str) -> list[str]:
        """The names of ``_HOMES`` or ``__all__`` of a package's ``__init__``."""
        path = self.folder / "src" / Path(*module.split(".")) / "__init__.py"
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [getattr(one, "id", "") for one in getattr(node, "targets", [getattr(node, "target", None)])]
            if {"_HOMES", "__all__"} & set(names):
                try:
                    return [f"{module}.{name}" for name in ast.literal_eval(node.value)]
                except ValueError:  # __all__ made of _HOMES, which came before
                    continue
        return []

    def _offered(self) -> list[str]:
        """The classes of its components; of nbf-core, which has none, whatever its modules hold."""
        if self.name == "nbf-core":
            folder = self.folder / "src" / self.module
            inner = [path.parent.name for path in folder.glob("*/__init__.py") if path.parent.name != "contracts"]
            plain = [path.stem for path in folder.glob("[a-z]*.py")]
            modules = [f"{self.module}.geometry.{path.stem}" for path in (folder / "geometry").glob("[a-z]*.py")]
            listed = [name for one in inner for name in self._listed(f"{self.module}.{one}")]
            return [*listed, *modules, *(f"{self.module}.{name}" for name in plain)]
        manager = get_plugin_manager()
        return [entry.target.replace(":", ".") for kind in KINDS for entry in manager.entries(kind).values()]

    def _written_about(self) -> list[str]:
        """What its README and the pages of docs name; of configurations the components' pages speak."""
        pages = [self.folder / "README.md", *sorted((self.folder.parents[1] / "docs").glob("*.md"))]
        text = "\n".join(path.read_text("utf-8") for path in pages)
        imports = [f"{module}.{name.strip()}" for module, names in _IMPORTS.findall(text) for name in names.split(",")]
        named = {*_NAMED.findall(text), *imports}
        return [name for name in sorted(named) if not re.search(r"\.config$|Config$|\.plugin$|\.contracts\b", name)]


def packages(root: Path) -> list[Documented]:
    """All packages, nbf-core first."""
    folders = [path.parent for group in ("packages", "plugins") for path in sorted((root / group).glob("*/README.md"))]
    return sorted((Documented(folder) for folder in folders), key=lambda package: package.name != "nbf-core")


def page(package: Documented) -> str:
    """The page of a package: its modules in order, each with what is public in it."""
    lines = [f"# {package.name}", ""]
    about = f"What `{package.module}` offers to others. What the package is for, and an example: [{package.name}]"
    lines += [f"{about}(../packages/{package.name}.md).", ""]
    if package.name == "nbf-core":
        lines += [
            "The protocols of components are on pages of their own: [contracts](../reference/contracts/index.md).",
            "",
        ]
    for where, modules in package.public.items():
        lines += [f"## {where}", ""]
        if where in modules or where == package.module:
            # The module's own docstring; of others only what they define.
            lines += [f"::: {where}", *_OPTIONS, "      show_root_heading: false"]
            lines += ["      show_root_toc_entry: false", "      members: false", ""]
        for module, names in modules.items():
            for name in names:
                lines += [f"::: {module}.{name}", *_OPTIONS, "      show_root_heading: true", ""]
    return "\n".join(lines)


def locations(root: Path) -> dict[str, str]:
    """Where the full name of every public class, function and module is described: page and anchor."""
    found = {}
    for package in packages(root):
        for where, modules in package.public.items():
            # A heading's anchor drops the dots; what mkdocstrings heads keeps its full name.
            found[where] = f"api/{package.name}.md#{where.replace('.', '')}"
            for module, names in modules.items():
                for name in names:
                    page = f"api/{package.name}.md#{module}.{name}"
                    found |= {f"{module}.{name}": page, f"{where}.{name}": page}
    return found
