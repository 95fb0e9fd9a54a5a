"""Find what stands in two splits at once: copies, and sources of several recordings."""

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
class Leak:
    """One thing that two splits share.

    `kind` is "copies" or "group"; `items` are row numbers (two for copies, all of the group
    otherwise); `group` names the source, "" for copies; `splits` are sorted; `score` is 0 to 1.
    """

    kind: str
    items: tuple[int, ...]
    splits: tuple[str, ...]
    group: str
    score: float
    reason: str


def find_leaks(
    pairs: Sequence[Pair],
    splits: Sequence[str],
    source_groups: Sequence[str | None] | None = None,
) -> list[Leak]:
    """Find copies and source groups that stand in more than one split, the worst first.

    Parameters
    ----------
    pairs : sequence of Pair
        What `mlcore.duplicates.find_copies` found.
    splits : sequence of str, length n_items
        Split of each item; "" and "none" leak nothing.
    source_groups : sequence of str or None, length n_items
        Speaker, patient, recording; None or "" where unknown.

    Returns
    -------
    list of Leak
        One per pair of copies, one per source group.

    Examples
    --------
    >>> leaks = find_leaks([], ["train", "test"], ["ann", "ann"])
    >>> leaks[0].reason
    'Source ann is in test (1 item) and train (1 item); the model may know it by heart.'
    """
    leaks = _leaking_copies(pairs, splits)
    if source_groups is not None:
        leaks += _leaking_groups(splits, source_groups)
    return sorted(leaks, key=lambda leak: (-leak.score, leak.kind, leak.items))


def _leaking_copies(pairs: Sequence[Pair], splits: Sequence[str]) -> list[Leak]:
    leaks = []
    direct = {
        item
        for pair in pairs
        if _cross(pair.first, pair.second, splits)
        for item in (pair.first, pair.second)
    }
    for pair in pairs:
        if _cross(pair.first, pair.second, splits):
            leaks.append(_copy_leak(pair.first, pair.second, splits, pair.score, pair.reason))
    weakest = {
        item: min((p.score for p in pairs if item in (p.first, p.second)), default=0.0)
        for item in {i for p in pairs for i in (p.first, p.second)} - direct
    }
    for items in copy_sets(len(splits), pairs):
        for item in items:
            partner = next((other for other in items if _cross(item, other, splits)), None)
            if item not in direct and partner is not None:
                words = "They are copies through a third item of the same set."
                leaks.append(_copy_leak(item, partner, splits, weakest[item], words))
    return leaks


def _cross(one: int, other: int, splits: Sequence[str]) -> bool:
    sides = {splits[one], splits[other]}
    return len(sides) == 2 and not sides & NO_SPLIT


def _copy_leak(one: int, other: int, splits: Sequence[str], score: float, words: str) -> Leak:
    names = tuple(sorted((splits[one], splits[other])))
    start = f"The same thing is in {names[0]} and in {names[1]}. "
    return Leak("copies", (min(one, other), max(one, other)), names, "", score, start + words)


def _leaking_groups(splits: Sequence[str], groups: Sequence[str | None]) -> list[Leak]:
    members: dict[str, list[int]] = {}
    for item, group in enumerate(groups):
        if group and splits[item] not in NO_SPLIT:
            members.setdefault(group, []).append(item)
    counts = {name: Counter(splits[item] for item in items) for name, items in members.items()}
    torn = [name for name, count in counts.items() if len(count) > 1]
    everywhere = len(torn) > MOST_GROUP_SHARE * len(members)
    return [
        _group_leak(name, members[name], counts[name], torn=len(torn) if everywhere else 0)
        for name in sorted(torn)
    ]


def _group_leak(name: str, items: list[int], count: Counter[str], *, torn: int) -> Leak:
    names = tuple(sorted(count))
    places = [f"{split} ({count[split]} item{'s' * (count[split] != 1)})" for split in names]
    reason = f"Source {name} is in {' and '.join(places)}; the model may know it by heart."
    if torn > 1:
        reason += f" So are {torn - 1} other sources: this split ignores sources."
    score = GROUP_SCORE if "test" in names else GROUP_SCORE_WITHOUT_TEST
    return Leak("group", tuple(items), names, name, score, reason)


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
