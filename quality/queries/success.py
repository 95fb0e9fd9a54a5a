"""What pages say of the metric that success is measured by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from labeling.queries.success import Choice, choice_of
from labeling.templatetags.figures import decimals, points, share, signed
from mlcore.success import COST
from quality.models import Run

LATER = "later_labels"  # a part: the same predictions, judged by the later labels
SCALE_MARGIN = 1.15  # the interval's own reach, and some room


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
    over: str = ""
    lead: "Change | None" = None


@dataclass(frozen=True)
class Change:
    """How a metric changed on the same items, paired: later minus earlier, a cost falls.

    `missing` says why it is accuracy although another metric was chosen.
    """

    difference: float
    low: float
    high: float
    before: float = 0.0
    after: float = 0.0
    choice: Choice | None = None
    missing: str = ""

    @property
    def title(self) -> str:
        """What the metric is called."""
        return named(self.choice)

    @property
    def is_chosen(self) -> bool:
        """Whether it is what the task card chose."""
        return self.choice is not None

    @property
    def is_cost(self) -> bool:
        """Whether a fall is for the better."""
        return costs(self.choice)

    @property
    def gain(self) -> float:
        """The difference, positive where it is for the better."""
        return -self.difference if self.is_cost else self.difference

    @property
    def is_clear(self) -> bool:
        """Whether the limits leave zero out."""
        return self.low > 0 or self.high < 0

    @property
    def is_better(self) -> bool:
        """Whether it is clearly for the better."""
        return self.is_clear and self.gain > 0

    @property
    def tone(self) -> str:
        """better, worse, or grey where nothing was shown."""
        return ("better" if self.gain > 0 else "worse") if self.is_clear else "grey"

    @property
    def is_nothing(self) -> bool:
        """Whether not one prediction counts otherwise than before."""
        return self.difference == self.low == self.high == 0

    @property
    def unit(self) -> str:
        """What a difference is counted in; costs have none."""
        return "" if self.is_cost else _("points")

    @property
    def told(self) -> str:
        """The difference as it is written, with its unit."""
        return f"{self.words['difference']} {self.unit}".strip()

    @property
    def scale(self) -> float:
        """How many units a difference of 1 is."""
        return 1.0 if self.is_cost else 100.0

    @property
    def reach(self) -> float:
        """How far a scale around zero must go to each side."""
        return scale_reach(self.low, self.high)

    @property
    def ends(self) -> tuple[str, str]:
        """The ends of that scale as they are written."""
        write = differing(self.choice)
        return write(-self.reach), write(self.reach)

    @property
    def words(self) -> dict[str, str]:
        """All values as they are written."""
        level, write = written(self.choice), differing(self.choice)
        changes = {name: write(getattr(self, name)) for name in ("difference", "low", "high")}
        return {**changes, "before": level(self.before), "after": level(self.after)}


def not_yet() -> str:
    """Return why there is no figure before the `score` job was there."""
    return _("not measured yet")


def scale_reach(low: float, high: float) -> float:
    """How far the scale of an interval goes to each side of zero, in shares."""
    return max(abs(low), abs(high), 0.01) * SCALE_MARGIN


def figure_of(run: Run, choice: Choice | None, *, title: str = "", part: str = "") -> Figure | None:
    """Return a run's chosen metric, of its test items where `part` says so; None: not chosen."""
    if choice is None:
        return None
    kept = run.metrics.get("success") or {}
    title = title or choice.title
    if kept.get("by") != choice.by:
        return Figure(title, missing=not_yet(), main=not part)
    return _figure(kept.get(part, {}) if part else kept, choice, title=title, main=not part)


def headline(metrics: Mapping[str, Any], choice: Choice | None) -> Figure:
    """Return what a run is known by: the chosen metric, accuracy where nothing was chosen."""
    if choice is None:
        return _figure(metrics["accuracy"], None, title=named(None), main=True)
    kept = metrics.get("success") or {}
    if kept.get("by") != choice.by:
        return Figure(choice.title, missing=not_yet(), main=True)
    return _figure(kept, choice, title=choice.title, main=True)


def baselines_of(metrics: Mapping[str, Any], choice: Choice | None) -> list[Figure]:
    """Return what needs no training, in the metric that a run is known by."""
    told = metrics["baselines"]
    if choice is not None:
        kept = metrics.get("success") or {}
        told = kept.get("baselines", []) if kept.get("by") == choice.by else []
    return [_figure(row, choice, title=_(row["title"]), main=False) for row in told]


def figure_from(told: Mapping[str, Any], choice: Choice | None, *, title: str) -> Figure:
    """Return what a `Judge` measured beside a run, as it is written."""
    return _figure(told, choice, title=title, main=False)


def _figure(told: Mapping[str, Any], choice: Choice | None, *, title: str, main: bool) -> Figure:
    if "value" not in told:
        return Figure(title, missing=told.get("reason", ""), main=main)
    write = written(choice)
    value, low, high = (told[name] for name in ("value", "low", "high"))
    return Figure(
        title,
        value,
        low,
        high,
        told.get("span", 1.0),
        words=write(value),
        low_words=write(low),
        high_words=write(high),
        main=main,
    )


def success_card(run: Run, *, others: list[tuple[str, Run]]) -> SuccessCard | None:
    """Return what a run's page says first; `others` stand beside it under their titles."""
    choice = choice_of(run.dataset)
    if choice is None:
        return None
    figures = [figure_of(run, choice, title=_("This run"))]
    if "test" in run.metrics:
        figures.append(figure_of(run, choice, title=_("Test items, opened"), part="test"))
    figures += baselines_of(run.metrics, choice)
    for title, other in others:
        found = figure_of(other, choice, title=title)
        figures.append(found and _beside(found))
    over = (run.metrics.get("success") or {}).get("lead", {}).get("over", "")
    known = [figure for figure in figures if figure]
    return SuccessCard(choice, known, over=_(over), lead=lead_of(run, choice, "lead"))


def as_plain(kept: Mapping[str, Any] | None, choice: Choice | None) -> dict[str, Any] | None:
    """Return what was measured by the chosen metric as commands print it; None: not chosen."""
    if choice is None:
        return None
    told = {"metric": choice.metric, "title": choice.title, "lower_is_better": costs(choice)}
    if not kept or kept.get("by") != choice.by:
        return {**told, "reason": not_yet()}
    return {**told, **{name: value for name, value in kept.items() if name != "by"}}


def in_words(told: Mapping[str, Any], choice: Choice) -> str:
    """Say a value that was measured, or a change, with its limits; or why there is none."""
    if "difference" in told:
        change = _change(told, choice)
        facts = {"told": change.told, **change.words}
        return _("%(before)s -> %(after)s: %(told)s (%(low)s to %(high)s)") % facts
    if "value" not in told:
        return str(told.get("reason") or not_yet())
    write = written(choice)
    facts = {name: write(told[name]) for name in ("value", "low", "high")}
    return _("%(value)s (%(low)s to %(high)s)") % facts


def change_from(told: Mapping[str, Any], choice: Choice | None) -> Change | None:
    """Return what a `Judge` found changed; None where it could not tell, or nothing was chosen."""
    return _change(told, choice) if choice and "difference" in told else None


def lead_of(run: Run, choice: Choice | None, name: str) -> Change | None:
    """Return how far a run is ahead by the chosen metric; None where that was not measured.

    `name` says of what: `lead` of the nearest centroid, `signal` of the commonest class.
    """
    kept = run.metrics.get("success") or {}
    if choice is None or kept.get("by") != choice.by or "difference" not in kept.get(name, {}):
        return None
    return _change(kept[name], choice)


def change_of(told: Mapping[str, Any], choice: Choice | None, *, part: str = "") -> Change:
    """Return how a comparison's metric changed: the chosen one, else accuracy, and why not.

    `told` is the result of a comparison; or, with its `success`, a row of its contributions, which
    `part` names by kind, or `LATER`.
    """
    accuracy = _change(told, None)
    if choice is None:
        return accuracy
    kept = told.get("success") or {}
    if kept.get("by") != choice.by:
        return replace(accuracy, missing=f"{choice.title}: {not_yet()}")
    found = kept.get("parts", {}).get(part, {}) if part else kept
    if "difference" not in found:
        return replace(accuracy, missing=f"{choice.title}: {found.get('reason') or not_yet()}")
    return _change(found, choice)


def _change(told: Mapping[str, Any], choice: Choice | None) -> Change:
    names = ("difference", "low", "high", "before", "after")
    values = {name: told.get(name, 0.0) for name in names}  # old comparisons lack some
    return Change(choice=choice, **values)


def _beside(figure: Figure) -> Figure:
    return replace(figure, main=False)


def named(choice: Choice | None) -> str:
    """Return what the metric is called that pages speak of."""
    return choice.title if choice else _("Accuracy")


def costs(choice: Choice | None) -> bool:
    """Whether the metric is better where it is lower."""
    return choice is not None and choice.metric == COST


def written(choice: Choice | None) -> Callable[[float], str]:
    """Return what writes a value of the metric."""
    return (lambda value: decimals(value, 3)) if costs(choice) else share


def differing(choice: Choice | None) -> Callable[[float], str]:
    """Return what writes a difference of the metric, in `Change.unit`."""
    return (lambda value: signed(value, 3)) if costs(choice) else points
