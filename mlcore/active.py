"""Which item is worth the next answer: a new one, or another opinion on an old one.

The question is ActiveLab's (Goh and Mueller 2023, arXiv:2301.11856). Here one scale serves both:
how narrowly the class that counts now leads, in what model and people say together. Margins
(Scheffer et al. 2001) hold where entropy loses to chance: with many classes, and early on.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mlcore.stopping import CONFIDENT

RANDOM_EVERY = 10
"""One item in so many is asked at random, so that figures can be had that no order bends."""

METHOD: Literal["one_coin"] = "one_coin"
"""How `consensus.aggregate` joins model and people here. The items that two people answered are
the doubtful ones: from those, confusion matrices make people look worse than they are, and too
much is asked again (a trial on clothing after 166 answers: .614 right, with one number .654)."""

NEAR = 5
"""Nearest neighbours that an item speaks for. With batches of a thousand, 5 did at least as
well as 20 on cifar10, clothing, fsdd and banking77 (bench/active.py)."""


def worth(posterior: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what one more answer to each item is worth to the model that learns from them.

    Parameters
    ----------
    posterior : float ndarray of shape (n_items, n_classes)
        What model (out of sample) and annotators say together, as `consensus.aggregate` joins
        them; each annotator counts there by how far they can be trusted. NaN where unknown.
    labels : int ndarray of shape (n_items,)
        The class that is learned from now; -1 where there is none.

    Returns
    -------
    float ndarray of shape (n_items,)
        1 - (P(label) - P(best other class)), from 0 (sure) over 1 (two classes alike) to 2 (the
        label is surely wrong). Without a label the best class stands in. NaN where unknown.

    Examples
    --------
    A label that the model contradicts comes before a new item that it cannot tell, and that
    before one that several people agree on.

    >>> beliefs = np.array([[0.2, 0.8], [0.55, 0.45], [0.99, 0.01]])
    >>> worth(beliefs, np.array([0, -1, 0])).round(2)
    array([1.6 , 0.9 , 0.02])
    """
    posterior = np.array(posterior, np.float64)
    rows = np.arange(len(posterior))
    known = ~np.isnan(posterior).any(axis=1)
    beliefs = np.where(known[:, None], posterior, 0.0)
    held = np.where(labels >= 0, labels, beliefs.argmax(axis=1))
    own = beliefs[rows, held]
    beliefs[rows, held] = -1.0
    other = np.maximum(beliefs.max(axis=1, initial=0.0), 0.0)
    return np.where(known, 1.0 - (own - other), np.nan)


def doubted(posterior: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Tell which labels another person should be asked about: those less than CONFIDENT.

    Parameters
    ----------
    posterior, labels
        As for `worth`.

    Returns
    -------
    bool ndarray of shape (n_items,)
        False where there is no label, or nothing is known.
    """
    held = np.asarray(posterior)[np.arange(len(posterior)), np.maximum(labels, 0)]
    with np.errstate(invalid="ignore"):
        return (np.asarray(labels) >= 0) & (held < CONFIDENT)


def learning_order(
    values: np.ndarray,
    *,
    is_new: np.ndarray,
    neighbours: np.ndarray,
    similarities: np.ndarray,
    count: int | None = None,
) -> np.ndarray:
    """Order items so that each is worth most, given those before it.

    A new item that was put in line takes from its new neighbours' worth the part that they are
    alike: a copy of it teaches nothing more. Other opinions take nothing and lose nothing.

    Parameters
    ----------
    values : float ndarray of shape (n_items,)
        As `worth` returns them.
    is_new : bool ndarray of shape (n_items,)
        Nobody has answered yet.
    neighbours, similarities : ndarrays of shape (n_items, k)
        Rows and cosines as in `NeighbourGraph`; the first NEAR count. -1 is no neighbour.
    count : int or None
        Items wanted; None for all.

    Returns
    -------
    int64 ndarray of shape (n_wanted,)
        Rows, first to ask first; equal ones in their own order, the unknown (NaN) last.

    Examples
    --------
    The second item is nearly the first.

    >>> near, alike = np.array([[1], [0], [1]]), np.array([[0.9], [0.9], [0.1]])
    >>> learning_order(np.array([0.9, 0.8, 0.5]), is_new=np.ones(3, bool), neighbours=near,
    ...     similarities=alike)
    array([0, 2, 1])
    """
    known = ~np.isnan(values)
    now = np.where(known, values, -1.0).astype(np.float64).tolist()
    kept = 1.0 - np.clip(similarities[:, :NEAR], 0.0, 1.0)
    near, kept, new = neighbours[:, :NEAR].tolist(), kept.tolist(), is_new.tolist()
    waiting = [(-now[row], row) for row in range(len(now))]
    heapq.heapify(waiting)
    placed: list[int] = []
    is_placed = [False] * len(now)
    wanted = len(now) if count is None else min(count, len(now))
    while len(placed) < wanted:
        value, row = heapq.heappop(waiting)
        if is_placed[row] or -value != now[row]:  # an entry from before its neighbour was placed
            continue
        is_placed[row] = True
        placed.append(row)
        if not new[row] or value > 0:
            continue
        for other, share in zip(near[row], kept[row], strict=True):
            if other >= 0 and new[other] and not is_placed[other] and now[other] > 0:
                now[other] *= share
                heapq.heappush(waiting, (-now[other], other))
    return np.array(placed, np.int64)


def with_random(
    ordered: Sequence[int], at_random: Sequence[int], *, every: int = RANDOM_EVERY
) -> list[int]:
    """Mix the items that were drawn at random into an order, one in `every` from the first on.

    What was drawn beforehand and is asked in its own order stays a fair sample of all items
    at every moment, however the others are ordered.

    Examples
    --------
    >>> with_random([1, 2, 3, 4, 5], [8, 9], every=3)
    [8, 1, 2, 9, 3, 4, 5]
    """
    mixed: list[int] = []
    step = every - 1
    for turn in range(max(len(at_random), -(-len(ordered) // step))):
        mixed += at_random[turn : turn + 1]
        mixed += ordered[turn * step : (turn + 1) * step]
    return mixed
