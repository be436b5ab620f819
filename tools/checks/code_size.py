"""Modules under 300 lines, functions under 60, at most 9 arguments; tests may be longer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 300
FUNCTION_LINES = 60
ARGUMENTS = 9


def problems(root: Path) -> list[str]:
    """What has grown too large in the sources of packages, plugins and tools."""
    found = []
    for folder in ("packages", "plugins", "tools"):
        for file in sorted((root / folder).rglob("*.py")):
            if "tests" in file.relative_to(root).parts:
                continue
            source = file.read_text(encoding="utf-8")
            found += [f"{file.relative_to(root)}: {problem}" for problem in oversized(source)]
    return found


def oversized(source: str) -> Iterator[str]:
    """The limits that one module breaks."""
    lines = source.count("\n") + 1
    if lines > MODULE_LINES:
        yield f"{lines} lines, the limit is {MODULE_LINES}"
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = node.end_lineno - node.lineno + 1
        if length > FUNCTION_LINES:
            yield f"{node.name} has {length} lines, the limit is {FUNCTION_LINES}"
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([argument for argument in given if argument.arg not in ("self", "cls")])
        if count > ARGUMENTS:
            yield f"{node.name} takes {count} arguments, the limit is {ARGUMENTS}"
