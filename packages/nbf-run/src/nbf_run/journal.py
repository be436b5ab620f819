"""What a run has finished, line by line: an interrupted one goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbf_core.errors import ConfigError, InputError
from nbf_run.jsons import plain

NAME = "progress.jsonl"


class Journal:
    """``progress.jsonl`` in a run directory: a first line that says which run it is, then one for everything done.

    Lines are whole or do not count: a run killed in the middle of one loses that one. ``entries`` are those of the
    earlier run where ``resume``; otherwise the journal begins anew. Raises ConfigError where the earlier run was
    another one, naming what differs.
    """

    def __init__(self, out: Path, run: Mapping[str, Any], resume: bool):
        self.path = out / NAME
        self.entries: list[dict[str, Any]] = []
        run = json.loads(json.dumps(plain(run)))
        if resume:
            before, self.entries = _read(self.path)
            different = [key for key in sorted({*before, *run}) if before.get(key) != run.get(key)]
            if different:
                raise ConfigError(f"{out}: cannot be resumed: its run had {_difference(different[0], before, run)}")
        else:
            # It tells of a run that is written over from here on.
            (out / "report.json").unlink(missing_ok=True)
        lines = [json.dumps(line) for line in (run, *self.entries)]
        partial = self.path.with_name(f"{NAME}.partial")
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        partial.replace(self.path)

    @staticmethod
    def folders(out: Path) -> list[str]:
        """The folders that an unfinished run in ``out`` has finished; none where nobody knows."""
        try:
            entries = _read(out / NAME)[1]
        except InputError:
            return []
        found = [entry.get("folders", [entry.get("folder")]) for entry in entries]
        return [folder for some in found for folder in some if isinstance(folder, str)]

    def add(self, **entry: Any) -> None:
        """Note something that is finished."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(entry)) + "\n")


def _read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if not path.is_file():
        raise InputError(f"{path.parent}: no run to resume here (no {NAME})")
    lines = []
    # What follows the last line's end was cut off.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise InputError(f"{path}: damaged; start the run anew, without --resume")
    return lines[0], lines[1:]


def _difference(key: str, before: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Where two runs differ, in words; of the pipeline the first key."""
    old, new = before.get(key), run.get(key)
    path = key
    while isinstance(old, dict) and isinstance(new, dict):
        inner = next(k for k in sorted({*old, *new}) if old.get(k) != new.get(k))
        old, new, path = old.get(inner), new.get(inner), f"{path}.{inner}"
    shown = [json.dumps(value) if value is not None else "nothing" for value in (old, new)]
    shown = [text if len(text) <= 60 else f"{text[:57]}..." for text in shown]
    return f"{path} = {shown[0]}, this one {shown[1]}"
