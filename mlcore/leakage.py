"""Find what stands in two splits at once: sources of several recordings, and copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlcore.copy_sets import copy_sets, joined
from mlcore.duplicates import EXACT, Pair

NO_SPLIT = frozenset({"", "none"})
"""Splits that leak nothing: items that take part in no measurement yet."""

GROUP_SCORE = 0.9
"""Score of a source group in two splits where test is one of them, below certain copies."""

GROUP_SCORE_WITHOUT_TEST = 0.7
"""The same between train and validation: it spoils a choice, not the final figure."""

MOST_GROUP_SHARE = 0.5
"""Where more than this share of groups stands in several splits, the split ignores groups."""


@dataclass(frozen=True)
class TornSource:
    """A source that stands in several splits: row numbers, sorted splits, score from 0 to 1."""

    name: str
    items: tuple[int, ...]
    splits: tuple[str, ...]
    score: float
    reason: str


def find_torn_sources(
    splits: Sequence[str], source_groups: Sequence[str | None]
) -> list[TornSource]:
    """Find sources that stand in more than one split, those of test first.

    Parameters
    ----------
    splits : sequence of str, length n_items
        Split of each item; "" and "none" leak nothing.
    source_groups : sequence of str or None, length n_items
        Speaker, patient, recording; None or "" where unknown.

    Returns
    -------
    list of TornSource
        One per source, with all its items that are in a split.

    Examples
    --------
    >>> find_torn_sources(["train", "test"], ["ann", "ann"])[0].reason
    'Source ann is in test (1 item) and train (1 item); the model may know it by heart.'
    """
    members: dict[str, list[int]] = {}
    for item, source in enumerate(source_groups):
        if source and splits[item] not in NO_SPLIT:
            members.setdefault(source, []).append(item)
    counts = {name: Counter(splits[item] for item in items) for name, items in members.items()}
    torn = [name for name, count in counts.items() if len(count) > 1]
    are_ignored = len(torn) > MOST_GROUP_SHARE * len(members)
    others = len(torn) - 1 if are_ignored else 0
    found = [_torn(name, members[name], counts[name], others=others) for name in torn]
    return sorted(found, key=lambda source: (-source.score, source.items))


def _torn(name: str, items: list[int], count: Counter[str], *, others: int) -> TornSource:
    names = tuple(sorted(count))
    places = [f"{split} ({count[split]} item{'s' * (count[split] != 1)})" for split in names]
    reason = f"Source {name} is in {' and '.join(places)}; the model may know it by heart."
    if others:
        so = "is one other source" if others == 1 else f"are {others} other sources"
        reason += f" So {so}: this split ignores sources."
    score = GROUP_SCORE if "test" in names else GROUP_SCORE_WITHOUT_TEST
    return TornSource(name, tuple(items), names, score, reason)


class Tie(NamedTuple):
    """An item and its closest counterpart in some split: row numbers, and what joins them."""

    item: int
    other: int
    evidence: str
    score: float


def find_ties(pairs: Sequence[Pair], splits: Sequence[str]) -> list[Tie]:
    """Find, for each item, its closest counterpart in every split, by each kind of evidence.

    Counted by evidence and the splits of both sides, ties are the matrix of what splits share:
    so many items of test have a mirrored copy in train.

    Parameters
    ----------
    pairs : sequence of Pair
        What `mlcore.duplicates.find_copies` found.
    splits : sequence of str, length n_items
        Split of each item; "" and "none" are tied to nothing.

    Returns
    -------
    list of Tie
        At most one per item, split and evidence, in order of items. Items that are equal to the
        same thing are tied to each other, whichever of them was paired.

    Examples
    --------
    >>> found = find_ties([Pair(0, 1, 0.9, "mirror", "")], ["train", "test"])
    >>> [(tie.item, tie.other, tie.evidence) for tie in found]
    [(0, 1, 'mirror'), (1, 0, 'mirror')]
    """
    closest: dict[tuple[int, str, str], Tie] = {}
    for first, second, score, what, _reason in pairs:
        if what not in EXACT:
            _tie(closest, Tie(first, second, what, score), splits)
            _tie(closest, Tie(second, first, what, score), splits)
    for evidence in EXACT:
        equal = [pair for pair in pairs if pair.evidence == evidence]
        for items in copy_sets(len(splits), equal) if equal else ():
            _tie_equal(closest, items, splits, evidence=evidence, score=equal[0].score)
    return sorted(closest.values())


def _tie(closest: dict[tuple[int, str, str], Tie], tie: Tie, splits: Sequence[str]) -> None:
    item, other, evidence, score = tie
    there = splits[other]
    if splits[item] in NO_SPLIT or there in NO_SPLIT:
        return
    known = closest.get((item, there, evidence))
    if known is None or known.score < score:
        closest[item, there, evidence] = tie


def _tie_equal(
    closest: dict[tuple[int, str, str], Tie],
    items: Sequence[int],
    splits: Sequence[str],
    *,
    evidence: str,
    score: float,
) -> None:
    """Tie each item of a set of equals to the first other one in each split."""
    firsts: dict[str, list[int]] = {}
    for item in items:
        known = firsts.setdefault(splits[item], [])
        if len(known) < 2:
            known.append(item)
    for item in items:
        for known in firsts.values():
            other = next((one for one in known if one != item), None)
            if other is not None:
                _tie(closest, Tie(item, other, evidence, score), splits)


def have_counterparts(
    first: np.ndarray,
    second: np.ndarray,
    stand: np.ndarray,
    *,
    evidence: str,
) -> np.ndarray:
    """Tell of each item in which splits it has a counterpart: what `find_ties` lists, uncounted.

    Parameters
    ----------
    first, second : int ndarrays of shape (n_pairs,)
        Row numbers of the items of each pair of this evidence.
    stand : bool ndarray of shape (n_items, n_splits)
        Whether an item stands in a split.
    evidence : str
        What joins them: see `mlcore.duplicates.Pair`.

    Returns
    -------
    bool ndarray of shape (n_items, n_splits)

    Examples
    --------
    >>> stand = np.array([[True, False], [False, True]])
    >>> have_counterparts(np.array([0]), np.array([1]), stand, evidence="mirror").tolist()
    [[False, True], [True, False]]
    """
    if evidence in EXACT:
        root = joined(len(stand), first, second)
        held = np.zeros(stand.shape, np.int64)
        np.add.at(held, root, stand)
        found: np.ndarray = held[root] > stand  # others than the item itself
        return found
    found = np.zeros_like(stand)
    np.logical_or.at(found, first, stand[second])
    np.logical_or.at(found, second, stand[first])
    return found
