"""Divide items into folds and splits so that what belongs together stays together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from mlcore.refusals import Impossible

SHARES = (0.70, 0.15, 0.15)
SPLIT_NAMES = ("train", "validation", "test")


def join_groups(*partitions: Sequence[Hashable | None] | np.ndarray) -> np.ndarray:
    """Join items that share a value in any of several partitions.

    Parameters
    ----------
    *partitions : sequence of hashable or None, each of length n_items
        For example copy sets and source groups; None means that the item stands alone there.

    Returns
    -------
    int64 ndarray of shape (n_items,)
        Group of each item, numbered from 0 in order of first appearance.

    Examples
    --------
    >>> join_groups(["a", "a", None, None], [None, 7, 7, None])
    array([0, 0, 0, 1])
    """
    if not partitions:
        raise ValueError("At least one partition is needed.")
    sizes = {len(partition) for partition in partitions}
    if len(sizes) > 1:
        raise ValueError(f"The partitions differ in length: {sorted(sizes)}.")
    parent = list(range(sizes.pop()))
    for partition in partitions:
        first_with: dict[Hashable, int] = {}
        for item, value in enumerate(partition):
            if value is not None:
                _unite(parent, item, first_with.setdefault(value, item))
    roots = [_root(parent, item) for item in range(len(parent))]
    return _numbered(np.array(roots, dtype=np.int64))


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def _unite(parent: list[int], item: int, other: int) -> None:
    one, two = _root(parent, item), _root(parent, other)
    parent[max(one, two)] = min(one, two)


def _numbered(values: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.ravel()].astype(np.int64)


def grouped_folds(
    labels: np.ndarray, groups: np.ndarray, *, n_folds: int = 5, rng: np.random.Generator
) -> np.ndarray:
    """Divide items into folds of like size and mix; no group straddles two folds.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
    groups : int ndarray of shape (n_items,)
        As `join_groups` returns them.
    n_folds : int
        Wanted number; where there are fewer groups, there are as many folds as groups.
    rng : numpy Generator

    Returns
    -------
    int64 ndarray of shape (n_items,)
        Fold of each item, 0 to the number of folds - 1; no fold is empty.

    Raises
    ------
    Impossible
        If all items belong to one group.
    """
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise Impossible(
            "All items belong to one group (same source or copies of each other), so nothing "
            "is left to test on. Add items from another source, or remove the source groups."
        )
    n_folds = min(n_folds, n_groups)
    return shared_out(labels, groups, shares=np.full(n_folds, 1 / n_folds), rng=rng)


def shared_out(
    labels: np.ndarray, groups: np.ndarray, *, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Give whole groups to parts of the wanted shares, alike in labels.

    Groups of several items go first, largest first, each to the part that it brings nearest to
    its wanted labels; single items then fill what each part lacks of their label.
    """
    label_of = np.unique(labels, return_inverse=True)[1]
    group_of = np.unique(groups, return_inverse=True)[1]
    held = np.zeros((len(shares), label_of.max(initial=0) + 1))
    part_of = _dealt(label_of, group_of, held, shares=shares, rng=rng)
    return without_empty_parts(part_of, group_of, n_parts=len(shares))


def _dealt(
    label_of: np.ndarray,
    group_of: np.ndarray,
    held: np.ndarray,
    *,
    shares: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Deal groups to parts that hold some items already; `held` counts them by part and label."""
    totals = np.maximum(held.sum(axis=0) + np.bincount(label_of, minlength=held.shape[1]), 1)
    sizes = np.bincount(group_of)
    part_of = np.full(len(label_of), -1, dtype=np.int64)
    by_group, ends = np.argsort(group_of, kind="stable"), np.cumsum(sizes)
    shuffled = rng.permutation(len(sizes))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        if sizes[group] == 1:
            break
        members = by_group[ends[group] - sizes[group] : ends[group]]
        counts = np.bincount(label_of[members], minlength=len(totals))
        part = best_part(held, counts, totals=totals, shares=shares)
        held[part] += counts
        part_of[members] = part
    _deal_singles(part_of, label_of, held, shares=shares, rng=rng)
    return part_of


def best_part(
    held: np.ndarray, counts: np.ndarray, *, totals: np.ndarray, shares: np.ndarray
) -> int:
    """Return the part whose squared distance from its wanted label counts grows least."""
    weights = counts / totals.astype(float) ** 2
    growth = (2 * held @ weights + counts @ weights) / shares
    size = (held.sum(axis=1) + counts.sum()) / (totals.sum() * shares)
    return int(np.lexsort((size, np.round(growth, 12)))[0])


def _deal_singles(
    part_of: np.ndarray,
    label_of: np.ndarray,
    held: np.ndarray,
    *,
    shares: np.ndarray,
    rng: np.random.Generator,
) -> None:
    for label in range(held.shape[1]):
        singles = rng.permutation(np.flatnonzero((label_of == label) & (part_of < 0)))
        counts = _fill(held[:, label], len(singles), shares=shares, sizes=held.sum(axis=1))
        part_of[singles] = np.repeat(np.arange(len(shares)), counts)
        held[:, label] += counts


def _fill(held: np.ndarray, n_new: int, *, shares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return how many of `n_new` items each part gets so that it comes near its share."""
    wanted = shares * (held.sum() + n_new)
    lacking = np.maximum(wanted - held, 0)
    exact = lacking * n_new / max(lacking.sum(), 1e-12)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    rest = n_new - counts.sum()
    # What rounding leaves goes to the smallest parts among those that lack most.
    order = np.lexsort((sizes / shares, -np.round(exact - counts, 9)))
    counts[order[:rest]] += 1
    return counts


def without_empty_parts(part_of: np.ndarray, group_of: np.ndarray, *, n_parts: int) -> np.ndarray:
    """Move the smallest spare group into each part that got nothing."""
    sizes = np.bincount(group_of)
    part_of_group = np.zeros(len(sizes), dtype=np.int64)
    part_of_group[group_of] = part_of
    for part in range(min(n_parts, len(sizes))):
        groups_per_part = np.bincount(part_of_group, minlength=n_parts)
        if groups_per_part[part]:
            continue
        spare = np.flatnonzero(groups_per_part[part_of_group] > 1)
        part_of_group[spare[sizes[spare].argmin()]] = part
    return part_of_group[group_of]


def propose_split(
    labels: np.ndarray,
    groups: np.ndarray,
    captured_at: Sequence[float | None] | np.ndarray | None,
    *,
    shares: tuple[float, float, float] = SHARES,
    rng: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """Propose which items to train, validate and test on, and say why so.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        A negative number stands for no label.
    groups : int ndarray of shape (n_items,)
        As `join_groups` returns them; none is ever divided.
    captured_at : sequence of float or None, or None
        Seconds since 1970 (any one unit serves). Where every item has one and they differ, the
        latest items are for testing, as the model will meet the future.
    shares : tuple of float
        Of train, validation and test; they sum to 1.
    rng : numpy Generator

    Returns
    -------
    tuple of (str ndarray of shape (n_items,), str)
        Names of splits, and the reason in words.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    if not len(labels):
        return np.array([], dtype="<U10"), "There are no items."
    joined = len(np.unique(groups)) < len(groups)
    kept = " Copies and items of one source stay in one split." if joined else ""
    times = _times(captured_at)
    if times is not None:
        parts = _by_time(groups, times, shares=np.array(shares))
        reason = "By time: the latest items are for testing, as new ones will come later."
    else:
        parts = shared_out(labels, groups, shares=np.array(shares), rng=rng)
        has_labels = bool((labels >= 0).any())
        alike = ", with every class in the same proportion in each split" if has_labels else ""
        reason = f"Shuffled{alike}."
    return np.array(SPLIT_NAMES)[parts], reason + kept


def _times(captured_at: Sequence[float | None] | np.ndarray | None) -> np.ndarray | None:
    if captured_at is None or any(moment is None for moment in captured_at):
        return None
    times = np.asarray(captured_at, dtype=np.float64)
    varied = len(np.unique(times)) >= len(SPLIT_NAMES) and bool(np.isfinite(times).all())
    return times if varied else None


def _by_time(groups: np.ndarray, times: np.ndarray, *, shares: np.ndarray) -> np.ndarray:
    """Give groups in order of their latest time to the parts, each until it has its share."""
    group_of = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(group_of)
    latest = np.full(len(sizes), -np.inf)
    np.maximum.at(latest, group_of, times)
    order = np.argsort(latest, kind="stable")
    middle = (np.cumsum(sizes[order]) - sizes[order] / 2) / sizes.sum()
    part_of_group = np.zeros(len(sizes), dtype=np.int64)
    part_of_group[order] = np.searchsorted(np.cumsum(shares)[:-1], middle)
    return part_of_group[group_of]


def extend_split(
    labels: np.ndarray, groups: np.ndarray, splits: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Propose where new items go beside those that have a split, and say why so.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        A negative number stands for no label.
    groups : int ndarray of shape (n_items,)
        As `join_groups` returns them, over old and new items.
    splits : str ndarray of shape (n_items,)
        Names of splits; of new items empty.
    rng : numpy Generator

    Returns
    -------
    tuple of (str ndarray of shape (n_items,), str)
        Names of splits, those of old items as they were, and the reason in words. A new item of
        a known group is where its group is, and of a group in several splits in the one that is
        kept furthest from training. New groups never go to test: they are dealt to train and
        validation in the proportion of the old items there.

    Examples
    --------
    >>> splits = np.array(["train", "validation", "test", "", ""])
    >>> extend_split(np.zeros(5), np.array([0, 1, 2, 2, 1]), splits, rng=np.random.default_rng())[0]
    array(['train', 'validation', 'test', 'test', 'validation'], dtype='<U10')
    """
    label_of = np.unique(labels, return_inverse=True)[1]
    group_of = np.unique(groups, return_inverse=True)[1]
    part_of = np.full(len(label_of), -1, dtype=np.int64)
    for part, name in enumerate(SPLIT_NAMES):
        part_of[splits == name] = part
    old = part_of >= 0
    home = np.full(group_of.max(initial=0) + 1, -1, dtype=np.int64)
    np.maximum.at(home, group_of[old], part_of[old])
    part_of[~old] = home[group_of[~old]]
    free = part_of < 0
    if free.any():
        held = np.zeros((2, label_of.max(initial=0) + 1))
        learned = old & (part_of < 2)
        np.add.at(held, (part_of[learned], label_of[learned]), 1)
        sizes = held.sum(axis=1) if learned.any() else np.array(SHARES[:2])
        used = np.flatnonzero(sizes)  # a dataset without validation gets none
        of_free = np.unique(group_of[free], return_inverse=True)[1]
        shares = sizes[used] / sizes.sum()
        part_of[free] = used[_dealt(label_of[free], of_free, held[used], shares=shares, rng=rng)]
    reason = (
        "New items of known sources, and copies, go where those are; the others to train and "
        "validation in the proportion that is there, none to test."
    )
    return np.array(SPLIT_NAMES)[part_of], reason
