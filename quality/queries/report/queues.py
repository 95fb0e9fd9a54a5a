"""The queues of a dataset as a report lists them: what waits, what proved right, what it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Sum
from django.urls import reverse

from labeling.models import Dataset
from mlcore.intervals import Interval
from quality.models import Action, Decision
from quality.queries.expected import expected_right
from quality.queries.flags import (
    Confirmed,
    Paces,
    QueueCounts,
    Tally,
    confirmed_so_far,
)
from quality.queries.report.evidence import Evidence, Picture, evidence_of


@dataclass(frozen=True)
class Queue:
    """The doubts of one kind; `expected` is how many of the open ones are right."""

    kind: str
    title: str
    open: int
    touches_test: int
    decided: int
    right: int
    right_share: Interval | None
    expected: Interval
    seconds: float | None
    url: str
    test_url: str
    decided_url: str
    evidence: list[Evidence]


def queues_of(
    dataset: Dataset,
    *,
    kinds: Mapping[str, str],
    counts: Mapping[str, QueueCounts],
    tally: Tally,
    paces: Paces,
    picture: Picture,
) -> list[Queue]:
    """Return kinds with any doubt, most faults expected first; `kinds` has the titles by name."""
    counts = {kind: n for kind, n in counts.items() if kind in kinds and n.total}
    confirmed = confirmed_so_far(dataset)
    waiting = {kind: n.open for kind, n in counts.items() if n.open}
    evidence = evidence_of(dataset, waiting, tally=tally, picture=picture)
    expected = expected_right(dataset, waiting, tally=tally)
    rows = [
        Queue(
            kind=kind,
            title=kinds[kind],
            seconds=paces.seconds(n.open, kind),
            evidence=evidence.get(kind, []),
            expected=expected.get(kind, Interval(0.0, 0.0, 0.0)),
            **_counted(n, confirmed.get(kind)),
            **_addresses(dataset, kind),
        )
        for kind, n in counts.items()
    ]
    return sorted(rows, key=lambda row: (-row.expected.value, -row.open, row.title))


def _counted(n: QueueCounts, known: Confirmed | None) -> dict[str, Any]:
    return {
        "open": n.open,
        "touches_test": n.touches_test,
        "decided": known.decided if known else 0,
        "right": known.right if known else 0,
        "right_share": known.share if known else None,
    }


def _addresses(dataset: Dataset, kind: str) -> dict[str, Any]:
    return {
        "url": reverse("quality:queue", args=[dataset.slug, kind]),
        "test_url": f"{reverse('quality:browse', args=[dataset.slug])}?flag={kind}&split=test",
        "decided_url": log_url(dataset, kind=kind),
    }


def log_url(dataset: Dataset, **wanted: str) -> str:
    """Return the address of the decisions that a number counts."""
    return f"{reverse('quality:log', args=[dataset.slug])}?{urlencode(wanted)}"


@dataclass(frozen=True)
class Taken:
    """The decisions of one kind that stand, and the time they took."""

    words: str
    n: int
    seconds: float
    url: str


def taken_of(dataset: Dataset) -> list[Taken]:
    """Return what was decided so far by what was done, most often first; undone work is out."""
    stands = Decision.objects.filter(dataset=dataset, undone_by__isnull=True)
    rows = stands.exclude(action=Action.UNDO).order_by().values("action")
    counted = rows.annotate(n=Count("pk"), seconds=Sum("seconds"))
    return [
        Taken(
            words=str(Action(row["action"]).label),
            n=row["n"],
            seconds=row["seconds"] or 0.0,
            url=log_url(dataset, action=row["action"]),
        )
        for row in sorted(counted, key=lambda row: (-row["n"], row["action"]))
    ]
