"""Divide anew what is divided already: by moving as little as can be, or by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlcore.folds import SPLIT_NAMES, best_part, shared_out, without_empty_parts
from mlcore.refusals import Impossible


def mend_split(labels: np.ndarray, groups: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Propose splits in which no group stands in several, alike in size and labels as before.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        A negative number stands for no label.
    groups : int ndarray of shape (n_items,)
        As `join_groups` returns them.
    splits : str ndarray of shape (n_items,)
        Names of splits; items in none of `SPLIT_NAMES` stay as they are.

    Returns
    -------
    str ndarray of shape (n_items,)
        Only items of torn groups move, largest group first, each to that of its splits which it
        brings nearest to its wanted labels (the shares of now).
        A split that would lose all its items gets the smallest group that can be spared.

    Raises
    ------
    Impossible
        If there are fewer groups than splits, so that no division keeps them whole.

    Examples
    --------
    >>> splits = np.array(["train", "train", "test", "test"])
    >>> mend_split(np.zeros(4), np.array([0, 1, 1, 2]), splits).tolist()
    ['train', 'train', 'train', 'test']
    """
    used, divided = _divided(groups, splits)
    part_of = np.array([used.index(name) for name in splits[divided]], dtype=np.int64)
    label_of = np.unique(labels[divided], return_inverse=True)[1]
    group_of = np.unique(groups[divided], return_inverse=True)[1]
    counts = np.zeros((group_of.max(initial=-1) + 1, len(used)), dtype=np.int64)
    np.add.at(counts, (group_of, part_of), 1)
    _rejoin(part_of, label_of, group_of, counts)
    parts = without_empty_parts(part_of, group_of, n_parts=len(used))
    return _with(splits, divided, used, parts)


def divide_anew(
    labels: np.ndarray, groups: np.ndarray, splits: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Propose splits of the sizes of now, dealt by chance: alike in labels, no group torn.

    Parameters
    ----------
    labels, groups, splits
        As for `mend_split`.
    rng : numpy Generator

    Returns
    -------
    str ndarray of shape (n_items,)

    Raises
    ------
    Impossible
        As there.

    Examples
    --------
    >>> splits = np.array(["train"] * 8 + ["test"] * 4)
    >>> labels = np.repeat([0, 1], 6)
    >>> anew = divide_anew(labels, np.arange(12), splits, rng=np.random.default_rng(0))
    >>> np.bincount(labels[anew == "test"]).tolist()
    [2, 2]
    """
    used, divided = _divided(groups, splits)
    shares = np.array([float((splits[divided] == name).mean()) for name in used])
    dealt = shared_out(labels[divided], groups[divided], shares=shares, rng=rng)
    return _with(splits, divided, used, dealt)


def _divided(groups: np.ndarray, splits: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the splits that items are in, and these items' rows; each split can have a group."""
    used = [name for name in SPLIT_NAMES if (splits == name).any()]
    rows = np.flatnonzero(np.isin(splits, used))
    n_groups = len(np.unique(groups[rows]))
    if n_groups < len(used):
        raise Impossible(
            f"There are {len(used)} splits but only {n_groups} groups that must stay whole "
            "(one source, or copies of each other): no division keeps them apart."
        )
    return used, rows


def _with(
    splits: np.ndarray, rows: np.ndarray, used: Sequence[str], parts: np.ndarray
) -> np.ndarray:
    """Return the splits with those of some rows replaced."""
    changed = np.array(splits, dtype="<U12")
    changed[rows] = np.array(used, dtype="<U12")[parts]
    return changed


def _rejoin(
    part_of: np.ndarray, label_of: np.ndarray, group_of: np.ndarray, counts: np.ndarray
) -> None:
    """Put each torn group into one of the parts where it stands; `counts` by group and part."""
    shares = counts.sum(axis=0) / counts.sum()
    totals = np.bincount(label_of)
    is_torn = (counts > 0).sum(axis=1) > 1
    held = np.zeros((counts.shape[1], len(totals)))
    whole = ~is_torn[group_of]
    np.add.at(held, (part_of[whole], label_of[whole]), 1)
    by_group = np.split(np.argsort(group_of, kind="stable"), np.cumsum(counts.sum(axis=1))[:-1])
    torn = np.flatnonzero(is_torn)
    for group in torn[np.argsort(-counts[torn].sum(axis=1), kind="stable")]:
        members = by_group[group]
        brought = np.bincount(label_of[members], minlength=len(totals))
        there = np.flatnonzero(counts[group])
        part = there[best_part(held[there], brought, totals=totals, shares=shares[there])]
        held[part] += brought
        part_of[members] = part
