"""What pages say of the metric that success is measured by."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from labeling.models import Dataset
from labeling.queries.success import Choice, choice_of
from labeling.templatetags.figures import decimals, points, share, signed
from mlcore.success import COST
from quality.models import Comparison, Run


@dataclass(frozen=True)
class Figure:
    """A metric's value with its limits, as a bar and as words; `missing` says why there is none."""

    title: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    span: float = 1.0
    words: str = ""
    low_words: str = ""
    high_words: str = ""
    missing: str = ""
    main: bool = False


@dataclass(frozen=True)
class SuccessCard:
    """The chosen metric on a run's page: this run, beside it what compares."""

    choice: Choice
    figures: list[Figure]


def figure_of(run: Run, choice: Choice | None, *, title: str = "", part: str = "") -> Figure | None:
    """Return a run's chosen metric, of its test items where `part` says so; None: not chosen."""
    if choice is None:
        return None
    kept = run.metrics.get("success") or {}
    title = title or choice.title
    if kept.get("by") != choice.by:
        return Figure(title, missing=_("not measured yet"), main=not part)
    told = kept.get(part, {}) if part else kept
    if "value" not in told:
        return Figure(title, missing=told.get("reason", ""), main=not part)
    write = _written(choice)
    value, low, high = (told[name] for name in ("value", "low", "high"))
    return Figure(
        title,
        value,
        low,
        high,
        told["span"],
        words=write(value),
        low_words=write(low),
        high_words=write(high),
        main=not part,
    )


def success_card(run: Run, *, others: list[tuple[str, Run]]) -> SuccessCard | None:
    """Return what a run's page says first; `others` stand beside it under their titles."""
    choice = choice_of(run.dataset)
    if choice is None:
        return None
    figures = [figure_of(run, choice, title=_("This run"))]
    if "test" in run.metrics:
        figures.append(figure_of(run, choice, title=_("Test items, opened"), part="test"))
    for title, other in others:
        found = figure_of(other, choice, title=title)
        figures.append(found and _beside(found))
    return SuccessCard(choice, [figure for figure in figures if figure])


def change_of(comparison: Comparison) -> dict[str, Any] | None:
    """Return how the chosen metric changed in a comparison, in words and as a bar."""
    choice = choice_of(comparison.dataset)
    if choice is None:
        return None
    kept = comparison.result.get("success") or {}
    if kept.get("by") != choice.by:
        return {"choice": choice, "missing": _("not measured yet")}
    if "difference" not in kept:
        return {"choice": choice, "missing": kept.get("reason", "")}
    write, differ = _written(choice), _difference(choice)
    return {
        "choice": choice,
        "is_clear": not kept["low"] <= 0 <= kept["high"],
        "before": write(kept["before"]),
        "after": write(kept["after"]),
        **{name: differ(kept[name]) for name in ("difference", "low", "high")},
    }


def success_sentence(dataset: Dataset) -> str:
    """Say how success is measured; empty where nothing was chosen."""
    choice = choice_of(dataset)
    return f"{choice.title}. {choice.note}".strip() if choice else ""


def _beside(figure: Figure) -> Figure:
    return Figure(**{**figure.__dict__, "main": False})


def _written(choice: Choice) -> Any:
    return (lambda value: decimals(value, 3)) if choice.metric == COST else share


def _difference(choice: Choice) -> Any:
    if choice.metric == COST:
        return lambda value: signed(value, 3)
    return lambda value: _("%s points") % points(value)
