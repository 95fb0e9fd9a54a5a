"""The report of a version: a few sentences with their intervals, and the tables behind them.

There is no score of everything together: it would hide which number moved. What a version
froze, its run and what it bought are of that version; doubts, crowd and splits are of now.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from labeling.models import Dataset, Split, Version
from labeling.services.versions import columns_of
from labeling.version_columns import NONE
from quality.models import Decision
from quality.queries import overlap
from quality.queries.flags import DOUBTED, counts_by_kind, paces_of, tally_of
from quality.queries.report.crowd import Crowd, crowd_of
from quality.queries.report.evidence import Picture, address_of
from quality.queries.report.model import (
    MOST_CLASSES,
    Bought,
    Learned,
    bought_of,
    learned_of,
    newest_comparison,
    newest_run,
)
from quality.queries.report.queues import Queue, Taken, queues_of, taken_of
from quality.queries.report.sentences import Sentence, sentences_of
from quality.queries.unflagged import Missed, missed


@dataclass(frozen=True)
class SplitHeld:
    """How many items of a split a version froze, and how many with a label."""

    name: str
    items: int
    labelled: int
    url: str


@dataclass(frozen=True)
class Held:
    """The version that a report is about."""

    number: int
    tag: str
    digest: str
    at: datetime
    items: int
    labelled: int
    is_newest: bool
    splits: list[SplitHeld]


@dataclass(frozen=True)
class Leakage:
    """What the splits of now share; without `were_compared`, copies were not looked for."""

    were_compared: bool
    words: list[str]
    rows: list[overlap.Row]
    url: str


@dataclass(frozen=True)
class Report:
    """Everything that a report says, in plain values: a page, a file and JSON show the same."""

    slug: str
    name: str
    question: str
    at: datetime
    version: Held | None
    sentences: list[Sentence]
    queues: list[Queue]
    missed: Missed | None
    learned: Learned | None
    crowd: Crowd | None
    leakage: Leakage
    decided: list[Taken]
    bought: Bought | None


def report_of(
    dataset: Dataset,
    version: Version | None,
    *,
    kinds: Mapping[str, str],
    now: datetime,
    with_people: bool,
    picture: Picture = address_of,
) -> Report:
    """Return the report of a version; `kinds` has the titles by name.

    What people answered and how well is for leads alone, as on the pages: `with_people`.
    """
    tally = tally_of(dataset)
    counts = counts_by_kind(dataset, tally=tally)
    timed = {kind for kind, n in counts.items() if n.decided and (n.open or kind == DOUBTED)}
    paces = paces_of(Decision.objects.filter(dataset=dataset, undoes__isnull=True), timed)
    queues = queues_of(
        dataset, kinds=kinds, counts=counts, tally=tally, paces=paces, picture=picture
    )
    run = newest_run(dataset, version, is_imported=False)
    learned = learned_of(run, newest_run(dataset, version, is_imported=True)) if run else None
    crowd = crowd_of(dataset, paces, most_classes=MOST_CLASSES) if with_people else None
    comparison = newest_comparison(dataset, version)
    bought = bought_of(comparison) if comparison else None
    return Report(
        slug=dataset.slug,
        name=dataset.name,
        question=dataset.question,
        at=now,
        version=_held(dataset, version) if version else None,
        sentences=sentences_of(
            learned=learned, queues=queues, crowd=crowd, bought=bought, paces=paces
        ),
        queues=queues,
        missed=missed(dataset),
        learned=learned,
        crowd=crowd,
        leakage=_leakage(dataset),
        decided=taken_of(dataset),
        bought=bought,
    )


def as_plain(report: Report) -> dict[str, Any]:
    """Return a report as JSON holds it."""
    return asdict(report)


def _held(dataset: Dataset, version: Version) -> Held:
    counted = _counted(version)
    browse = reverse("quality:browse", args=[dataset.slug])
    return Held(
        number=version.number,
        tag=version.tag,
        digest=version.digest,
        at=version.created_at,
        items=version.items,
        labelled=version.labelled,
        is_newest=not dataset.versions.filter(number__gt=version.number).exists(),
        splits=[
            SplitHeld(str(Split(name).label), *counted[name], f"{browse}?split={name}")
            for name in Split.values
            if name in counted
        ],
    )


def _counted(version: Version) -> dict[str, tuple[int, int]]:
    """Count items and labels of each split that has any."""
    columns = columns_of(version)
    labels = {split: columns.labels[columns.is_in(split)] for split in Split.values}
    return {
        split: (len(held), int((held != NONE).sum())) for split, held in labels.items() if len(held)
    }


def _leakage(dataset: Dataset) -> Leakage:
    shared = overlap.overlap_of(dataset)
    return Leakage(
        were_compared=shared.were_compared,
        words=overlap.sentences_of(shared),
        rows=overlap.rows_of(dataset, shared),
        url=reverse("quality:splits", args=[dataset.slug]),
    )
