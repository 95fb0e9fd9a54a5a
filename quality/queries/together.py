"""Which items share a copy or a source with what is learned from."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from labeling.models import Dataset, Item
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import Pair
from quality.queries.filters import one_of


class Copied(NamedTuple):
    """An item that has copies."""

    pk: int
    split: str
    source: str


def copied_in(dataset: Dataset, sure: Sequence[Pair]) -> list[list[Copied]]:
    """Return the copy sets of a dataset; two items are copies through a third one, too."""
    ids = sorted({pk for pair in sure for pk in (pair.first, pair.second)})
    if not ids:
        return []
    found = Item.objects.filter(one_of("pk", ids), dataset=dataset, excluded="").order_by("pk")
    rows = [Copied(*row) for row in found.values_list("pk", "split", "source_group")]
    place = {row.pk: number for number, row in enumerate(rows)}
    pairs = [
        Pair(place[pair.first], place[pair.second], pair.score, pair.evidence, "")
        for pair in sure
        if pair.first in place and pair.second in place
    ]
    return [[rows[row] for row in one] for one in copy_sets(len(rows), pairs)]


def leaked(
    copied: Sequence[Sequence[Copied]],
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
