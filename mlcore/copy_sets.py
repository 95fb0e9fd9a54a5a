"""Sets of copies, and which of each set to keep so that nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.duplicates import EXACT, Pair


@dataclass(frozen=True)
class Proposal:
    """Items to keep and the copies of them to take out; each has a pair with a kept item."""

    kept: tuple[int, ...]
    taken: tuple[int, ...]
    pairs: tuple[Pair, ...]

    @property
    def items(self) -> tuple[int, ...]:
        return tuple(sorted(self.kept + self.taken))


def copy_sets(n_items: int, pairs: Sequence[Pair]) -> list[list[int]]:
    """Return the sets of items joined by pairs, directly or through others.

    Parameters
    ----------
    n_items : int
        Number of items.
    pairs : sequence of Pair
        What `find_copies` found.

    Returns
    -------
    list of list of int
        Each set sorted, with at least two items; sets in order of their first item.

    Examples
    --------
    >>> copy_sets(5, [Pair(0, 3, 1.0, "bytes", ""), Pair(3, 4, 1.0, "bytes", "")])
    [[0, 3, 4]]
    """
    first, second = np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2).T
    root = joined(n_items, first, second)
    rows = np.flatnonzero(np.bincount(root, minlength=n_items)[root] > 1)
    rows = rows[np.argsort(root[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(root[rows], prepend=-1))
    return [one.tolist() for one in np.split(rows, starts)[1:]]


def joined(n_items: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the first item of the set that each item is in.

    Parameters
    ----------
    n_items : int
        Number of items.
    first, second : int ndarrays of shape (n_pairs,)
        Row numbers of the two items of each pair.

    Returns
    -------
    int ndarray of shape (n_items,)
        An item that no pair names is alone in its set.

    Examples
    --------
    >>> joined(5, np.array([0, 4]), np.array([3, 3]))
    array([0, 1, 2, 0, 0])
    """
    root = np.arange(n_items)
    while len(first):
        low, high = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(root, high, low)
        while (root[root] < root).any():  # from one to the next halves the way each time
            root = root[root]
        first, second = root[low], root[high]
        apart = first != second
        first, second = first[apart], second[apart]
    return root


def keep_one(
    items: Sequence[int],
    *,
    is_test: Sequence[bool],
    is_labelled: Sequence[bool],
    sizes: Sequence[float],
    sharpness: Sequence[float] | None = None,
) -> int:
    """Propose which item of a copy set stays.

    The test copy stays, so that scores before and after are told on the same items and what was
    learned goes instead; then a labelled one, the largest, the sharpest, the earliest.

    Parameters
    ----------
    items : sequence of int
        Row numbers of the set; the other sequences are indexed by them.
    is_test, is_labelled : sequences of bool
    sizes, sharpness : sequences of float
        Larger is better, e.g. pixels or seconds.

    Examples
    --------
    >>> keep_one([0, 1], is_test=[False, True], is_labelled=[True, True], sizes=[9, 1])
    1
    """

    def merit(item: int) -> tuple[bool, bool, float, float, int]:
        sharp = 0.0 if sharpness is None else sharpness[item]
        return (is_test[item], is_labelled[item], sizes[item], sharp, -item)

    return max(items, key=merit)


@dataclass(frozen=True)
class _Worth:
    """What speaks for keeping an item."""

    is_test: Sequence[bool]
    is_labelled: Sequence[bool]
    sizes: Sequence[float]
    sharpness: Sequence[float] | None

    def best(self, items: Sequence[int]) -> int:
        return keep_one(
            items,
            is_test=self.is_test,
            is_labelled=self.is_labelled,
            sizes=self.sizes,
            sharpness=self.sharpness,
        )

    def kept(self, items: Sequence[int]) -> list[int]:
        """Keep every test copy where others go; else the best one."""
        in_test = [item for item in items if self.is_test[item]]
        if in_test and len(in_test) < len(items):
            return in_test
        return [self.best(items)]


def propose(
    pairs: Sequence[Pair],
    *,
    is_test: Sequence[bool],
    is_labelled: Sequence[bool],
    sizes: Sequence[float],
    sharpness: Sequence[float] | None = None,
    splits: Sequence[str] | None = None,
) -> list[Proposal]:
    """Propose what to keep of copies: sets of equal content first, then look-alikes.

    Likeness is not passed on: two items may each resemble a third and still differ. So in a set
    of look-alikes each item has a pair with the kept one, and one item stands for its equals.
    If all proposals are carried out, each content taken out has a copy of its own that stays.

    Parameters
    ----------
    pairs : sequence of Pair
        What `mlcore.duplicates.find_copies` found, as far as it is to be believed.
    is_test, is_labelled, sizes, sharpness : sequences, length n_items
        As in `keep_one`; no test copy is taken out for one that is not in test.
    splits : sequence of str, length n_items
        Where given, one item *of each split* stands for its equals: for leaks.
    """
    worth = _Worth(is_test, is_labelled, sizes, sharpness)
    exact = [pair for pair in pairs if pair.evidence in EXACT]
    equals = copy_sets(len(is_test), exact)
    set_of = {item: place for place, items in enumerate(equals) for item in items}
    told: list[list[Pair]] = [[] for _ in equals]
    for pair in exact:
        told[set_of[pair.first]].append(pair)
    proposals = []
    for items, reasons in zip(equals, told, strict=True):
        kept = worth.kept(items)
        taken = tuple(item for item in items if item not in kept)
        proposals.append(Proposal(tuple(kept), taken, tuple(reasons)))
    standing = {
        item: _standing_for(items, worth=worth, splits=splits) for items in equals for item in items
    }
    alike = [pair for pair in pairs if pair.evidence not in EXACT]
    return proposals + _stars(_moved(alike, standing), worth)


def _standing_for(
    items: Sequence[int], *, worth: _Worth, splits: Sequence[str] | None
) -> list[int]:
    if splits is None:
        return [worth.best(items)]
    parts: dict[str, list[int]] = {}
    for item in items:
        parts.setdefault(splits[item], []).append(item)
    return [worth.best(part) for part in parts.values()]


def _moved(pairs: Sequence[Pair], standing: dict[int, list[int]]) -> list[Pair]:
    """Tell pairs of the items that stand for their equals, each once, with its best score."""
    best: dict[tuple[int, int], Pair] = {}
    for pair in pairs:
        for one in standing.get(pair.first, [pair.first]):
            for other in standing.get(pair.second, [pair.second]):
                key = (min(one, other), max(one, other))
                if one != other and (key not in best or best[key].score < pair.score):
                    best[key] = pair._replace(first=key[0], second=key[1])
    return list(best.values())


def _stars(pairs: Sequence[Pair], worth: _Worth) -> list[Proposal]:
    """Cover pairs by sets around one item: test items first, then those with most copies."""
    near: dict[int, dict[int, Pair]] = {}
    for pair in pairs:
        near.setdefault(pair.first, {})[pair.second] = pair
        near.setdefault(pair.second, {})[pair.first] = pair

    in_test = {item for item in near if worth.is_test[item]}
    leaking = {item for item in in_test if set(near[item]) - in_test}

    def rank(item: int) -> tuple[bool, bool, int, bool, float, float, int]:
        is_labelled, size = worth.is_labelled[item], worth.sizes[item]
        first = (item not in leaking, item not in in_test)
        sharp = worth.sharpness[item] if worth.sharpness else 0.0
        return (*first, -len(near[item]), not is_labelled, -size, -sharp, item)

    kept: set[int] = set()
    taken: set[int] = set()
    stars = []
    for hub in sorted(near, key=rank):
        leaves = sorted(set(near[hub]) - kept - taken)
        is_across = hub in in_test and not in_test.issuperset(leaves)
        stays = in_test if is_across else leaking
        go = [leaf for leaf in leaves if leaf not in stays]
        if hub in taken or not go:
            continue
        stay = [hub, *(leaf for leaf in leaves if leaf in stays)]
        kept.update(stay)
        taken.update(go)
        stars.append(Proposal(tuple(stay), tuple(go), tuple(near[hub][leaf] for leaf in leaves)))
    return stars + _left_over(pairs, stars, taken=taken, worth=worth)


def _left_over(
    pairs: Sequence[Pair], stars: Sequence[Proposal], *, taken: set[int], worth: _Worth
) -> list[Proposal]:
    """Return pairs between sets, each for itself; only what is to go already goes."""
    sets_of: dict[int, set[int]] = {}
    for place, star in enumerate(stars):
        for item in star.items:
            sets_of.setdefault(item, set()).add(place)
    rest = []
    for pair in pairs:
        both = [pair.first, pair.second]
        together = sets_of.get(pair.first, set()) & sets_of.get(pair.second, set())
        if together or not taken & set(both):
            continue
        stays = [item for item in both if item not in taken]
        stay = stays[0] if stays else worth.best(both)
        rest.append(Proposal((stay,), tuple(item for item in both if item != stay), (pair,)))
    return rest
