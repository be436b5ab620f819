"""Does fitting help under occlusion, by how much, how sure are we: in a sentence, and in numbers for a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbf_run.bench.paired import compare
from nbf_run.bench.results import CellResult, per_person, reference_of
from nbf_run.bench.workshop import Workshop


def answer(workshop: Workshop, found: Sequence[CellResult]) -> dict[str, Any] | None:
    """The gain of one method over another in every cell that has both, and the sentence; None where there is no pair.

    The first fit from the regressor's start over that start, unless ``bench.answer`` names others, in its ``metric``
    (the first of ``bench.metrics``). ``rival`` is compared with the method alike, where it is named.
    """
    chosen, options = workshop.options.answer, workshop.options
    method = chosen.method or next(
        (n for n, m in options.methods.items() if m.fit and m.start == "regressor" and m.trust != 0), None
    )
    metric = chosen.metric if chosen.metric in options.metrics else options.metrics[0]
    if method is None:
        return None
    gains = [gain for result in found if (gain := _gain(workshop, result, method, chosen.against, metric))]
    if not gains:
        return None
    rivals = []
    if chosen.rival is not None:
        rivals = [gain for result in found if (gain := _gain(workshop, result, method, chosen.rival, metric))]
    lower = workshop.metrics(found[0].cell.set)[metric].lower_is_better
    unit = workshop.metrics(found[0].cell.set)[metric].unit
    words = _Words(metric, unit, lower, round(100 * options.confidence))
    return {
        "method": method,
        "metric": metric,
        "unit": unit,
        "lower_is_better": lower,
        "against": gains[0]["against"],
        "gains": gains,
        "rival": chosen.rival,
        "rival_gains": rivals,
        "sentences": words.sentences(gains, rivals),
    }


def _gain(
    workshop: Workshop, result: CellResult, method: str, against: str | None, metric: str
) -> dict[str, Any] | None:
    cell, options = result.cell, workshop.options
    if method not in result.methods or (cell.case.choose and metric not in cell.case.choose):
        return None
    other = against or reference_of(workshop, cell, method)
    if other is None or other not in result.methods or other == method:
        return None
    which = "visible" if options.sets[cell.set].visible_only else "all"
    ours, theirs = (
        per_person(result.methods[name].rows, cell.case.choose, workshop.person_of(cell.set))
        .get(metric, {})
        .get(which, {})
        for name in (method, other)
    )
    lower = workshop.metrics(cell.set)[metric].lower_is_better
    settings = (options.confidence, options.resamples, workshop.base.seed)
    found = compare(ours, theirs, lower, settings)
    if not found["n"]:
        return None
    several = any(c != cell.case.name for c in (o.name for o in workshop.protocol(cell.protocol).cases))
    hidden = cell.case.size is None and bool(cell.case.choose) or bool(cell.case.size)
    return {
        "set": cell.set, "title": cell.title, "protocol": cell.protocol, "size": cell.case.size, "against": other,
        "occluded": hidden, "worst": bool(cell.case.choose), "series": several and not cell.case.choose, **found,
    }  # fmt: skip


_RIVAL = (("better", "better"), ("worse", "worse"), ("unclear", "not clearly different"))


class _Words:
    """Numbers said in English."""

    def __init__(self, metric: str, unit: str, lower: bool, percent: int) -> None:
        self.metric, self.unit, self.lower, self.percent = metric.upper(), unit, lower, percent

    def sentences(self, gains: Sequence[Mapping[str, Any]], rivals: Sequence[Mapping[str, Any]]) -> list[str]:
        """First the answer, then what it rests on, then how the method does against its rival."""
        hidden = [gain for gain in gains if gain["occluded"]]
        said = [self.verdict(hidden or list(gains), bool(hidden))]
        hardest = _hardest(hidden or gains)
        said.append(self.one(hardest))
        clean = next((gain for gain in gains if not gain["occluded"]), None)
        if clean is not None and hidden:
            said.append(self.one(clean))
        if rivals:
            said.append(self.rival(rivals))
        return said

    def rival(self, gains: Sequence[Mapping[str, Any]]) -> str:
        """How the method does against another one."""
        counts = {name: sum(gain["verdict"] == name for gain in gains) for name in ("better", "worse", "unclear")}
        parts = [f"{word} in {counts[name]}" for name, word in _RIVAL if counts[name]]
        hardest = _hardest([gain for gain in gains if gain["occluded"]] or gains)
        listed = ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]
        return f"Against {gains[0]['against']} it is {listed} of {_conditions(len(gains))}. " + self.one(hardest)

    def verdict(self, gains: Sequence[Mapping[str, Any]], hidden: bool) -> str:
        """Yes, no, or not shown."""
        where = "under occlusion" if hidden else "here"
        better = sum(gain["verdict"] == "better" for gain in gains)
        worse = sum(gain["verdict"] == "worse" for gain in gains)
        count = len(gains)
        conditions = _conditions(count)
        if better == count:
            return f"Yes: fitting helps {where}, in {'all ' + conditions if count > 1 else 'the one condition'}."
        if worse == count:
            return f"No: fitting harms {where}, in {'all ' + conditions if count > 1 else 'the one condition'}."
        if not better and not worse:
            return f"Not shown: no difference {where} is larger than what chance gives."
        if not worse:
            return (
                f"Mostly: fitting helps {where} in {better} of {conditions}; elsewhere it cannot be told from chance."
            )
        if not better:
            return f"No: fitting harms {where} in {worse} of {conditions}; elsewhere it cannot be told from chance."
        return f"It depends: fitting helps {where} in {better} of {conditions} and harms in {worse}."

    def one(self, gain: Mapping[str, Any]) -> str:
        """A gain with its interval."""
        change = gain["mean"]
        verb = "changes" if gain["verdict"] == "unclear" else ("lowers" if change < 0 else "raises")
        amount = f"{change:+.1f}" if verb == "changes" else f"{abs(change):.1f}"
        relative = "" if gain["relative"] is None else f" ({100 * gain['relative']:+.0f} %)"
        low, high = sorted((gain["low"], gain["high"]))
        return (
            f"{_condition(gain)} it {verb} {self.metric} by {amount} {self.unit}{relative}, from "
            f"{gain['reference']:.1f} to {gain['reference'] + change:.1f}; {self.percent} % interval {low:+.1f} to "
            f"{high:+.1f}; {100 * gain['better']:.0f} % of {gain['n']} people get better."
        )


def _hardest(gains: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The worst patch of the largest size, where patches were searched."""
    return max(gains, key=lambda gain: (gain["worst"], gain["size"] or 0))


def _condition(gain: Mapping[str, Any]) -> str:
    if not gain["occluded"]:
        return "On whole people"
    patch = f"patch of {gain['size']:g} px" if gain["size"] else "patch"
    if gain["worst"]:
        return f"Under the worst {patch} for each person"
    return f"Under a {patch} ({gain['protocol']})"


def _conditions(count: int) -> str:
    return f"{count} condition{'s' * (count != 1)}"
