"""Docstrings, written for readers of code, as Markdown: roles become code or links, ``::`` a colon.

``Roles`` does so for mkdocstrings (it is named in the generator's configuration).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`~?([^`]+)`")
_LITERAL = re.compile(r"::[ \t]*$", re.MULTILINE)


def plain_markdown(text: str, known: Mapping[str, str] | None = None) -> str:
    """A docstring as Markdown; full names that are ``known`` become references of mkdocstrings to what they mean."""

    def role(match: re.Match) -> str:
        name = match[1]
        if name in (known or {}):
            return f"[`{name.rpartition('.')[2]}`][{known[name]}]"
        return f"`{name}`"

    return _LITERAL.sub(":", _ROLE.sub(role, text)).replace("``", "`")


try:
    import griffe
except ImportError:  # in the ordinary environment only the function above is needed
    pass
else:

    class Roles(griffe.Extension):
        """Docstrings as :func:`plain_markdown` gives them. ``names`` is a JSON file of the names that are known."""

        def __init__(self, names: str) -> None:
            super().__init__()
            self.known = json.loads(Path(names).read_text(encoding="utf-8"))

        def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
            """Called for every object that is read."""
            if obj.docstring:
                obj.docstring.value = plain_markdown(obj.docstring.value, self.known)
