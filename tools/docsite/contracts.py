"""What the sources of ``nbf_core`` say of hooks and contracts, read without importing them."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CORE = Path("packages/nbf-core/src/nbf_core")
_CLASSES = {"Body": "BodyModel", "Bank": "FeatureBank", "Protocol": "OcclusionProtocol"}


@dataclass(frozen=True)
class Hook:
    """One hook: its docstring in two parts, and its row in docs/hooks.md."""

    name: str
    about: str
    example: str
    provides: str
    contract: str
    named_by: str

    @property
    def kind(self) -> str:
        """The kind of its components, ``renderers``."""
        return self.name.removeprefix("nbf_")


@dataclass(frozen=True)
class Contract:
    """One protocol of ``nbf_core.contracts``; ``records`` are the other classes of its module."""

    name: str
    module: str
    about: str
    extends: tuple[str, ...]
    records: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its full name."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Core:
    """Hooks and contracts of a clone of the repository."""

    root: Path

    @cached_property
    def hooks(self) -> list[Hook]:
        """All hooks, as hookspecs.py has them, with what docs/hooks.md says of them."""
        tree = ast.parse((self.root / CORE / "plugins" / "hookspecs.py").read_text("utf-8"))
        specs = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "NbfSpecs")
        rows = {row[0].strip("`"): row for row in self.table("hook")}
        found = []
        for node in specs.body:
            if isinstance(node, ast.FunctionDef):
                about, _, example = (ast.get_docstring(node) or "").partition("Example::")
                row = rows.get(node.name, ["", "", "", ""])
                found.append(
                    Hook(node.name, about.strip(), inspect.cleandoc(example), row[1], row[2].strip("`"), row[3])
                )
        return found

    @cached_property
    def contracts(self) -> dict[str, Contract]:
        """All protocols that ``nbf_core.contracts`` exports."""
        found = {}
        exported = self._exported()
        for path in sorted((self.root / CORE / "contracts").glob("[a-z]*.py")):
            module = f"nbf_core.contracts.{path.stem}"
            classes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
            protocols = [node for node in classes if "Protocol" in _bases(node) and node.name in exported]
            records = [node.name for node in classes if node not in protocols and node.name in exported]
            for node in protocols:
                extends = tuple(base for base in _bases(node) if base != "Protocol")
                about = ast.get_docstring(node) or ""
                # Records go to the first protocol of their module: that is the one that speaks of them.
                found[node.name] = Contract(node.name, module, about, extends, tuple(records))
                records = []
        return found

    @cached_property
    def built(self) -> dict[str, str]:
        """How a component of each contract is built: the line of the docstring of ``nbf_core.contracts``."""
        doc = ast.get_docstring(ast.parse((self.root / CORE / "contracts" / "__init__.py").read_text("utf-8"))) or ""
        return {
            _CLASSES.get(match[2], match[2]): match[1].strip()
            for match in re.finditer(r"^(\s+\w+\s+= (\w+)\(.*\))$", doc, re.MULTILINE)
        }

    @cached_property
    def capabilities(self) -> list[list[str]]:
        """The rows of docs/hooks.md about what components can do beyond their contract."""
        return self.table("capability")

    def table(self, first: str) -> list[list[str]]:
        """The rows of the table of docs/hooks.md whose first column has that head."""
        lines = iter((self.root / "docs" / "hooks.md").read_text("utf-8").splitlines())
        for line in lines:
            if line.startswith(f"| {first} |"):
                break
        next(lines, "")
        rows = []
        for line in lines:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        return rows

    def _exported(self) -> set[str]:
        tree = ast.parse((self.root / CORE / "contracts" / "__init__.py").read_text("utf-8"))
        return {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def _bases(node: ast.ClassDef) -> list[str]:
    return [base.id for base in node.bases if isinstance(base, ast.Name)]
