"""What a report says: a few sentences with their intervals, and the tables behind them.

There is no score of everything together: it would hide which number moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, Split
from labeling.templatetags.figures import minutes, points
from mlcore.intervals import share_interval
from quality.models import Comparison, Decision, Flag, FlagState, Run
from quality.queries.comparisons import comparison_of, comparison_page
from quality.queries.flags import PACE_OVER, open_flags
from quality.queries.runs import matrix_of, newest_done, newest_imported

MOST_SENTENCES = 5
MOST_QUEUES = 3


@dataclass(frozen=True)
class KindRow:
    """The flags of one kind: what waits, what became of those decided, what one takes."""

    kind: str
    title: str
    open: int
    likely: int
    decided: int
    dismissed: int
    seconds_each: float | None

    @property
    def settled(self) -> int:
        return self.decided + self.dismissed

    @property
    def seconds(self) -> float | None:
        """What the open flags will take, at the pace so far."""
        return None if self.seconds_each is None else self.seconds_each * self.open


def report_of(dataset: Dataset, *, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that a report shows; `kinds` has the titles by name."""
    run, comparison = newest_done(dataset), comparison_of(dataset)
    rows = kind_rows(dataset, kinds)
    return {
        "dataset": dataset,
        "version": dataset.versions.first(),
        "splits": _splits(dataset),
        "sentences": sentences(run, rows, comparison),
        "kinds": rows,
        "run": run,
        "present": newest_imported(dataset),
        "matrix": _matrix(run) if run else None,
        "proof": comparison_page(comparison) if comparison else None,
    }


def kind_rows(dataset: Dataset, kinds: Mapping[str, str]) -> list[KindRow]:
    """Count the flags of every kind that has any, in the order of `kinds`."""
    tallied = open_flags(dataset).order_by().values("kind")
    tallied = tallied.annotate(n=Count("pk"), likely=Count("pk", filter=Q(is_likely=True)))
    waiting = {row["kind"]: (row["n"], row["likely"]) for row in tallied}
    flags = Flag.objects.filter(dataset=dataset).order_by().values_list("kind", "state")
    counts = {(kind, state): n for kind, state, n in flags.annotate(n=Count("pk"))}
    rows = [
        KindRow(
            kind,
            title,
            open=waiting.get(kind, (0, 0))[0],
            likely=waiting.get(kind, (0, 0))[1],
            decided=counts.get((kind, FlagState.DECIDED), 0),
            dismissed=counts.get((kind, FlagState.DISMISSED), 0),
            seconds_each=_seconds_each(dataset, kind),
        )
        for kind, title in kinds.items()
    ]
    return [row for row in rows if row.open or row.settled]


def _seconds_each(dataset: Dataset, kind: str) -> float | None:
    """Return what a decision about this kind took last, by whomever."""
    made = Decision.objects.filter(dataset=dataset, flag__kind=kind, undoes__isnull=True)
    spent = made.filter(seconds__gt=0).order_by("-pk").values_list("seconds", flat=True)
    last = list(spent[:PACE_OVER])
    return float(median(last)) if last else None


def sentences(run: Run | None, rows: list[KindRow], comparison: Comparison | None) -> list[str]:
    """Return at most five sentences: accuracy, the fullest queues, what the work bought."""
    waiting = sorted((row for row in rows if row.open), key=lambda row: -row.likely)
    said = [_of_run(run)] if run else []
    said += [_of_kind(row) for row in waiting[:MOST_QUEUES]]
    said += [_of_proof(comparison.result)] if comparison else []
    return said[:MOST_SENTENCES]


def _of_run(run: Run) -> str:
    metrics = run.metrics
    doubt = "" if run.has_signal else _("No signal was found.") + " "
    return doubt + _(
        "Run %(run)s on version v%(version)s is right on %(value)s of %(n)s labelled items that "
        "it had not seen (95 %% interval %(low)s to %(high)s); always saying the commonest class "
        "would be right on %(baseline)s."
    ) % {
        "run": run.number,
        "version": run.version.number,
        "n": metrics["n"],
        "value": _percent(metrics["accuracy"]["value"]),
        "low": _percent(metrics["accuracy"]["low"]),
        "high": _percent(metrics["accuracy"]["high"]),
        "baseline": _percent(metrics["baselines"][0]["value"]),
    }


def _of_kind(row: KindRow) -> str:
    """Of those decided so far only: the rest is less suspicious, so nothing is extrapolated."""
    facts = {
        "title": row.title,
        "open": row.open,
        "likely": row.likely,
        "right": row.decided,
        "settled": row.settled,
        "time": minutes(row.seconds),
    }
    known = _("none was decided yet, so how many are right is not known")
    if row.settled:
        share = share_interval(row.decided, row.settled)
        facts |= {"value": _percent(share.value)}
        facts |= {"low": _percent(share.low), "high": _percent(share.high)}
        known = _(
            "of %(settled)s decided so far, the most suspicious ones, %(right)s were right "
            "(%(value)s, 95 %% interval %(low)s to %(high)s)"
        )
    took = _("its queue takes about %(time)s")
    if row.seconds is None:
        took = _("how long its queue takes is not known yet")
    sentence = _("%(title)s: %(open)s open, %(likely)s of them likely;")
    return f"{sentence} {known}; {took}." % facts


def _of_proof(result: dict[str, Any]) -> str:
    sentence = _(
        "From v%(old)s to v%(new)s accuracy on the same %(n)s %(items)s went from %(before)s to "
        "%(after)s: %(points)s points (95 %% interval %(low)s to %(high)s) for %(time)s of "
        "people’s work."
    )
    items = _("test items") if result["on"] == "test" else _("items, out of fold,")
    return sentence % {
        "old": result["old"]["version"],
        "new": result["new"]["version"],
        "n": result["n"],
        "items": items,
        "before": _percent(result["before"]),
        "after": _percent(result["after"]),
        "points": points(result["difference"]),
        "low": points(result["low"]),
        "high": points(result["high"]),
        "time": minutes(result["changes"]["seconds"]),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _splits(dataset: Dataset) -> list[dict[str, Any]]:
    """Count items and labels by split, excluded ones apart."""
    rows = Item.objects.filter(dataset=dataset, excluded="").order_by().values_list("split")
    counted = {
        split: (n, labelled)
        for split, n, labelled in rows.annotate(n=Count("pk"), labelled=Count("label"))
    }
    return [
        {"name": Split(split).label, "n": counted[split][0], "labelled": counted[split][1]}
        for split in Split.values
        if split in counted
    ]


def _matrix(run: Run) -> Any:
    return matrix_of(run, run.metrics["confusion"], order=run.metrics["order"])
