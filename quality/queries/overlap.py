"""What the splits share, in figures: a matrix whose counts open their pairs, and sentences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import Dataset, Split, WriteArea
from labeling.queries.kept import kept
from quality import copy_pairs
from quality.queries.splits import (
    DIVIDED,
    TIME,
    TITLES,
    Shared,
    parted_in,
    shared_by_splits,
)

#: Which split is believed, and what is learned from beside it.
BELIEVED = {Split.TEST: DIVIDED[:2], Split.VALIDATION: DIVIDED[:1]}


@dataclass(frozen=True)
class Overlap:
    """What the splits have in common now, in figures alone: kept until that changes.

    `counts` has items by kind, their split and that of their counterpart; `leaked` those that
    share a copy or a source with what is learned from, as the pages of runs count them.
    """

    were_compared: bool
    sizes: Mapping[str, int]
    counts: Mapping[tuple[str, str, str], int]
    sources: int
    torn: int
    is_everywhere: bool
    places: list[str]  # splits in which sources stand
    leaked: Mapping[str, int]
    last: Mapping[str, datetime]

    @property
    def splits(self) -> list[str]:
        return [str(split) for split in DIVIDED if self.sizes.get(split)]


def overlap_of(dataset: Dataset) -> Overlap:
    """Return the figures of now; worked out anew once items, pairs or what parted them changed."""
    rests_on = blake2b(copy_pairs.read_pairs(dataset.pk) or b"", digest_size=16)
    rests_on.update(repr(parted_in(dataset)).encode())
    return kept(
        dataset,
        f"overlap-{rests_on.hexdigest()}",
        of=[WriteArea.PLACES],
        make=lambda: figures_of(shared_by_splits(dataset)),
    )


def figures_of(shared: Shared) -> Overlap:
    counts = {
        (kind, split, other): n
        for kind in TITLES
        for split in shared.splits
        for other in shared.splits
        if (n := shared.count(kind, split, other))
    }
    torn = {name: shared.sources[name] for name in shared.torn}  # no other source leaks
    held = list(shared.sources.values())
    return Overlap(
        were_compared=shared.were_compared,
        sizes=dict(shared.sizes),
        counts=counts,
        sources=len(shared.sources),
        torn=len(shared.torn),
        is_everywhere=shared.is_everywhere,
        places=[split for split in shared.splits if any(split in one for one in held)],
        leaked={
            str(split): shared.paired.leaked(torn, split=split, learned=learned)
            for split, learned in BELIEVED.items()
        },
        last=shared.last,
    )


class Cell(NamedTuple):
    """How many items of a split have a counterpart of one kind in another, and where they are."""

    kind: str
    title: str
    items: int
    url: str


@dataclass(frozen=True)
class Row:
    """One split against all of them; each entry is the split and what it shares with the row."""

    split: str
    items: int
    cells: list[tuple[str, list[Cell]]]


def rows_of(dataset: Dataset, overlap: Overlap) -> list[Row]:
    """Arrange the counts as a matrix, every count with the address of its pairs."""
    return [
        Row(
            split,
            overlap.sizes[split],
            [(other, _cells(dataset, overlap, split, other)) for other in overlap.splits],
        )
        for split in overlap.splits
    ]


def _cells(dataset: Dataset, overlap: Overlap, split: str, other: str) -> list[Cell]:
    found = []
    for kind, title in TITLES.items():
        if count := overlap.counts.get((kind, split, other)):
            address = [dataset.slug, kind, split, other]
            found.append(Cell(kind, str(title), count, reverse("quality:ties", args=address)))
    return found


def sentences_of(overlap: Overlap) -> list[str]:
    """Say in words what a lead must know before a score is believed."""
    told = [_about_sources(overlap), *_about_leaks(overlap), *_about_time(overlap)]
    return [words for words in told if words]


def _about_sources(overlap: Overlap) -> str:
    """Say how many sources stand in several splits; where all do, that is one sentence."""
    if not overlap.torn:
        return ""
    if overlap.is_everywhere:
        words = _(
            "Every source (%(n)s) stands in %(splits)s: a score says how well the model knows "
            "these sources, not how well it does on new ones."
        )
        return words % {"n": overlap.sources, "splits": _(" and in ").join(overlap.places)}
    words = ngettext(
        "%(torn)s of %(n)s sources stands in more than one split: the model may know it by heart.",
        "%(torn)s of %(n)s sources stand in more than one split: the model may know them by heart.",
        overlap.torn,
    )
    return words % {"torn": overlap.torn, "n": overlap.sources}


def _about_leaks(overlap: Overlap) -> Iterable[str]:
    """Count what shares a copy or a source, as the pages of runs count it."""
    for split, n in overlap.leaked.items():
        if n and not (overlap.is_everywhere and n == overlap.sizes[split]):
            words = ngettext(
                "%(n)s of %(all)s %(split)s items shares a copy or a source with what is learned "
                "from.",
                "%(n)s of %(all)s %(split)s items share a copy or a source with what is learned "
                "from.",
                n,
            )
            yield words % {"n": n, "all": overlap.sizes[split], "split": split}


def _about_time(overlap: Overlap) -> Iterable[str]:
    n = overlap.counts.get((TIME, Split.TEST, Split.TRAIN), 0)
    if n:
        words = _(
            "%(n)s of %(all)s test items were captured before the last train item (%(day)s): the "
            "model learns from what came later than they did."
        )
        day = date_format(overlap.last[Split.TRAIN], "SHORT_DATE_FORMAT")
        yield words % {"n": n, "all": overlap.sizes[Split.TEST], "day": day}


def context_of(dataset: Dataset) -> dict[str, Any]:
    """Return what the page of splits shows."""
    overlap = overlap_of(dataset)
    rows = rows_of(dataset, overlap)
    crossed = [
        cell for row in rows for other, cells in row.cells if other != row.split for cell in cells
    ]
    return {
        "shared": overlap,
        "rows": rows,
        "sentences": sentences_of(overlap),
        "is_clean": overlap.were_compared and not crossed,
        "is_whole": all(cell.kind == TIME for cell in crossed),
    }
