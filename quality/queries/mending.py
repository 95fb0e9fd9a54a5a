"""A proposal to divide a dataset so that copies and sources stand in one split each."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from labeling.models import Dataset, Item, Split
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import Pair
from mlcore.folds import join_groups
from mlcore.mending import divide_anew, mend_split
from quality import copy_pairs
from quality.models import Action, Decision, Flag, FlagState
from quality.queries.browse import MOST_AT_ONCE
from quality.queries.filters import Filter, Shown
from quality.queries.splits import DIVIDED, copies_of, divided
from quality.queries.tiles import Tile, tiles_of

ROWS_A_READ = 2_000
SEED = 31  # the same items are proposed the same splits
MENDED = "mended"  # in the states of the decision that accepts a proposal
ITEMS_SHOWN = 24
LIKENESS = "likeness"  # what a flag about the order of the file says items stand together by


class Move(NamedTuple):
    """How many items would leave one split for another."""

    split: str
    to: str
    n: int


class Share(NamedTuple):
    """How many items of a class (none: of all) a split has now, and would have."""

    split: str
    before: int
    after: int


@dataclass(frozen=True)
class Mending:
    """Splits as they are and as they would be, row by row; `names` are classes, "" for none."""

    ids: list[int]
    names: list[str]
    before: np.ndarray
    after: np.ndarray
    groups: np.ndarray

    @cached_property
    def moves(self) -> dict[int, str]:
        """New split of each item (by id) that would move."""
        changed = np.flatnonzero(self.before != self.after)
        return {self.ids[row]: str(self.after[row]) for row in changed}

    @cached_property
    def digest(self) -> str:
        """Names the proposal, so that what is accepted is what was shown."""
        return hashlib.sha256(json.dumps(sorted(self.moves.items())).encode()).hexdigest()[:16]

    @property
    def ways(self) -> list[Move]:
        changed = self.before != self.after
        pairs = zip(self.before[changed].tolist(), self.after[changed].tolist(), strict=True)
        return [Move(*way, n) for way, n in sorted(Counter(pairs).items())]

    @property
    def of_test(self) -> int:
        """How many test items would leave, or become, test."""
        is_test = (self.before == Split.TEST) | (self.after == Split.TEST)
        return int(((self.before != self.after) & is_test).sum())

    @property
    def splits(self) -> list[str]:
        return [str(split) for split in DIVIDED if (self.before == split).any()]

    @property
    def table(self) -> list[tuple[str, list[Share]]]:
        """Counts of all items (named ""), then of each class, by split."""
        counts = {
            which: Counter(zip(self.names, of.tolist(), strict=True))
            for which, of in (("before", self.before), ("after", self.after))
        }
        rows = []
        for name in sorted(set(self.names)):
            both = [
                Share(split, counts["before"][name, split], counts["after"][name, split])
                for split in self.splits
            ]
            rows.append((name, both))
        return rows

    @property
    def sizes(self) -> list[Share]:
        return [
            Share(split, int((self.before == split).sum()), int((self.after == split).sum()))
            for split in self.splits
        ]

    @property
    def torn(self) -> tuple[int, int]:
        """How many groups stand in several splits, now and afterwards."""
        return _torn(self.groups, self.before), _torn(self.groups, self.after)


def _torn(groups: np.ndarray, splits: np.ndarray) -> int:
    places = np.unique(np.stack([groups, np.unique(splits, return_inverse=True)[1]]), axis=1)
    return int((np.bincount(places[0]) > 1).sum()) if places.size else 0


def mending_of(dataset: Dataset) -> Mending:
    """Propose where torn groups would stand; Impossible says why no division is possible."""
    return _proposed(dataset, mend_split)


def dividing_of(dataset: Dataset) -> Mending:
    """Propose splits dealt by chance; Impossible says why no division is possible."""

    def deal(labels: np.ndarray, groups: np.ndarray, splits: np.ndarray) -> np.ndarray:
        return divide_anew(labels, groups, splits, rng=np.random.default_rng(SEED))

    return _proposed(dataset, deal)


def _proposed(
    dataset: Dataset, divide: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> Mending:
    rows = list(
        divided(dataset)
        .order_by("key")
        .values_list("pk", "split", "label__name", "source_group")
        .iterator(chunk_size=ROWS_A_READ)
    )
    ids = [row[0] for row in rows]
    names = [row[2] or "" for row in rows]
    splits = np.array([row[1] for row in rows], dtype="U12")
    labels = np.unique(np.array(names), return_inverse=True)[1]
    copies = _copies(dataset, {pk: place for place, pk in enumerate(ids)})
    groups = join_groups([row[3] or None for row in rows], copies)
    return Mending(ids, names, splits, divide(labels, groups, splits), groups)


def _copies(dataset: Dataset, place_of: Mapping[int, int]) -> list[int | None]:
    """Return the copy set of each row, from the sure pairs of the last check."""
    there = [
        Pair(place_of[pair.first], place_of[pair.second], pair.score, pair.evidence, "")
        for pair in copies_of(dataset, copy_pairs.load_pairs(dataset.pk) or [])
        if pair.first in place_of and pair.second in place_of
    ]
    found: list[int | None] = [None] * len(place_of)
    for number, items in enumerate(copy_sets(len(place_of), there)):
        for item in items:
            found[item] = number
    return found


def last_mending(dataset: Dataset) -> Decision | None:
    """Return the newest accepted proposal, if it was not undone."""
    moved = Decision.objects.filter(dataset=dataset, flag=None, action=Action.MOVE)
    newest = moved.filter(**{f"after__0__{MENDED}": True}).order_by("-pk").first()
    undone = newest and Decision.objects.filter(undoes=newest).exists()
    return None if undone else newest


def first_moved(dataset: Dataset, mending: Mending) -> list[Tile]:
    """Return the first items that would move, by key."""
    pks = list(mending.moves)[:ITEMS_SHOWN]
    items = Item.objects.filter(pk__in=pks).select_related("content", "label").order_by("key")
    return tiles_of(Shown(dataset, Filter()), list(items))


def context_of(dataset: Dataset, mending: Mending) -> dict[str, Any]:
    """Return what the page of a proposal shows."""
    before, after = mending.torn
    return {
        "mending": mending,
        "torn_before": before,
        "torn_after": after,
        "items": first_moved(dataset, mending),
        "most": MOST_AT_ONCE,
        "is_too_much": len(mending.moves) > MOST_AT_ONCE,
    }


def has_unnamed_takes(dataset: Dataset) -> bool:
    """Whether alike items stand together in the file, and nobody said that this is harmless."""
    flags = Flag.objects.filter(dataset=dataset, kind="file_order", evidence__order=LIKENESS)
    return flags.filter(state__in=(FlagState.OPEN, FlagState.DECIDED)).exists()
