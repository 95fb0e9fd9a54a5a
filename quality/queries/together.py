"""Which items share a copy or a source with what is learned from."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from labeling.models import Dataset, Item
from labeling.queries.by_hand import rows_of
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import Pair
from quality.queries.filters import one_of


class Paired(NamedTuple):
    """An item that is in a pair; one that was taken out stands in no split."""

    pk: int
    split: str
    source: str


def paired_in(
    dataset: Dataset, sure: Sequence[Pair]
) -> tuple[tuple[Paired, ...], tuple[Pair, ...]]:
    """Return the items of pairs as they are now, and the pairs by places in that list."""
    ids = sorted({pk for pair in sure for pk in (pair.first, pair.second)})
    if not ids:
        return (), ()
    items = Item.objects.filter(one_of("pk", ids), dataset=dataset, excluded="")
    found = {row[0]: row for row in rows_of(items.values_list("pk", "split", "source_group"))}
    rows = tuple(Paired._make(found.get(pk, (pk, "", ""))) for pk in ids)
    place = {pk: number for number, pk in enumerate(ids)}
    return rows, tuple(
        Pair(place[first], place[second], score, evidence, "")
        for first, second, score, evidence, _reason in sure
    )


def copied_among(rows: Sequence[Paired], pairs: Sequence[Pair]) -> list[list[Paired]]:
    """Return the copy sets of what is there; two items are copies through a third one, too."""
    there = [pair for pair in pairs if rows[pair.first].split and rows[pair.second].split]
    return [[rows[row] for row in one] for one in copy_sets(len(rows), there)]


def leaked(
    copied: Sequence[Sequence[Paired]],
    sources: Mapping[str, Mapping[str, int]],
    *,
    split: str,
    learned: Collection[str],
) -> int:
    """Count the items of a split that share a copy or a source with what is learned from.

    `sources` holds how many items of each split a source has. A source that is not learned from
    leaks none of its other items because one of them is a copy.
    """
    torn = {
        name
        for name, counts in sources.items()
        if split in counts and any(one in counts for one in learned)
    }
    copies = [
        row
        for rows in copied
        if any(row.split in learned for row in rows)
        for row in rows
        if row.split == split and row.source not in torn
    ]
    return len(copies) + sum(sources[name][split] for name in torn)
