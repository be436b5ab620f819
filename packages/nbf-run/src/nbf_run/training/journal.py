"""What a run writes down while it trains: CSV tables, and the same for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOSSES, VALIDATION = "log/metrics.csv", "validation.csv"


class Table:
    """A CSV file of rows with a ``step``, one after another; what a later row adds becomes a column."""

    def __init__(self, path: Path, upto: int) -> None:
        """Rows of steps beyond ``upto`` go: a run that is resumed makes them again."""
        self.path = path
        rows = [row for row in _read(path) if row.get("step", "").isdigit() and int(row["step"]) <= upto]
        self.columns = list(dict.fromkeys(key for row in rows for key in row))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; numbers with fractions in four digits."""
        row = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
        if row.keys() - set(self.columns):
            self.columns += [key for key in row if key not in self.columns]
            self._write(_read(self.path))
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def _write(self, rows: list[dict[str, str]]) -> None:
        if not rows and not self.columns:
            self.path.unlink(missing_ok=True)
            return
        partial = self.path.with_name(f"{self.path.name}.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.path)


class Journal:
    """The tables of a run and its TensorBoard log, all in its folder."""

    def __init__(self, out: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self.losses, self.validation = Table(out / LOSSES, step), Table(out / VALIDATION, step)
        # TensorBoard forgets what an interrupted run noted of the steps that are made again.
        self.board = SummaryWriter(str(out / "log"), purge_step=step + 1 if step else None)

    def note_losses(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Loss terms and whatever else belongs to a step."""
        self.losses.add({"step": step, "epoch": epoch, **values})
        self._show(step, values)

    def note_quality(self, step: int, minutes: float, values: Mapping[str, float]) -> None:
        """What validation measured."""
        self.validation.add({"step": step, "minutes": minutes, **values})
        self._show(step, {f"validation/{name}": value for name, value in values.items()})
        self.board.flush()

    def close(self) -> None:
        """Write out what is still held back."""
        self.board.close()

    def _show(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.board.add_scalar(name, value, step)


def _read(path: Path) -> list[dict[str, str]]:
    """The complete rows of a table; a crash may have cut the last one short."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
