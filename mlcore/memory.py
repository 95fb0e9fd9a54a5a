"""How much of a score memory buys: what a head gets right that can only know copies and sources."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlcore.intervals import Interval, difference_interval
from mlcore.refusals import Impossible

SHUFFLES = 20
"""Ways in which labels are dealt anew; their mean stands for each item."""

SHUFFLE_ERRORS = 2.093
"""Standard errors of a mean of 20 shuffles that hold 95 of 100: Student's t, 19 degrees."""

MOST_ITEMS = 1_500
"""More are sampled, sources and copy sets kept: two CPU seconds a fold at 1,280 columns."""

STRENGTHS = tuple(float(10.0**power) for power in range(-4, 4))
"""Ridge penalties looked at, times the mean square of a column of the features."""


@dataclass(frozen=True)
class Memory:
    """What a linear head gets right with the real labels, and where only memory can help.

    `score` is its accuracy, `recalled` that under shuffled labels with limits over groups, 0 to 1,
    `chance` 1 / n_classes, `n` the number of items judged.
    """

    score: float
    recalled: Interval
    chance: float
    n: int

    @property
    def gain(self) -> Interval:
        """Return recalled minus chance."""
        found, chance = self.recalled, self.chance
        return Interval(found.value - chance, found.low - chance, found.high - chance)


def memory_gain(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    folds: np.ndarray,
    *,
    rng: np.random.Generator,
) -> Memory:
    """Measure the part of a score that comes from copies and sources known by heart.

    In each group on its own the classes are given other names by chance. What a group's items
    have to do with each other stays, what they have to do with all others is gone: whoever is
    right more often than chance knew items of the same group.

    Parameters
    ----------
    features : float ndarray of shape (n_items, n_features)
    labels : int ndarray of shape (n_items,)
        0 or more.
    groups : int ndarray of shape (n_items,)
        Copy sets joined with sources, as `mlcore.folds.join_groups` returns them.
    folds : int ndarray of shape (n_items,)
        Items of a fold are judged by a head that learned all others; -1 is learned only.
    rng : numpy Generator

    Returns
    -------
    Memory
        With folds that no group straddles the gain is 0 but for chance.

    Raises
    ------
    Impossible
        If there is one class only, or nothing to judge or to learn from.

    Notes
    -----
    The head is a ridge regression on one column a class; its penalty is the one that predicts
    the real labels of the items learned best when each is left out in turn (Allen's PRESS).
    A random label learned by heart: Zhang et al. 2017, arXiv:1611.03530.
    """
    features = np.asarray(features, dtype=np.float64)
    labels = np.unique(labels, return_inverse=True)[1]
    n_classes = int(labels.max(initial=-1)) + 1
    judged = folds >= 0
    if n_classes < 2 or not judged.any() or (judged.all() and len(np.unique(folds)) < 2):
        raise Impossible("Memory needs two classes, items to learn from and others to judge.")
    dealt = np.stack([labels, *(_renamed(labels, groups, n_classes, rng) for _ in range(SHUFFLES))])
    right = np.zeros((len(dealt), len(labels)), dtype=bool)
    for fold in np.unique(folds[judged]):
        unseen = folds == fold
        guesses = _ridge_guesses(features[~unseen], dealt[:, ~unseen], features[unseen], n_classes)
        right[:, unseen] = guesses == dealt[:, unseen]
    return Memory(
        score=float(right[0, judged].mean()),
        recalled=_recalled(right[1:, judged], groups[judged], chance=1 / n_classes),
        chance=1 / n_classes,
        n=int(judged.sum()),
    )


def _recalled(right: np.ndarray, groups: np.ndarray, *, chance: float) -> Interval:
    """Return the share right in shuffles (rows) of items (columns), its limits over both.

    Items alone are not enough: two that are alike, in two folds, are right or wrong together.
    """
    over_groups = difference_interval(right.mean(axis=0) - chance, groups)
    spread = float(right.mean(axis=1).std(ddof=1)) / math.sqrt(len(right))
    reach = math.hypot(over_groups.high - over_groups.value, SHUFFLE_ERRORS * spread)
    value = float(right.mean())
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def _renamed(
    labels: np.ndarray, groups: np.ndarray, n_classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Give the classes other names in each group, each way equally likely."""
    group_of = np.unique(groups, return_inverse=True)[1]
    names = rng.random((int(group_of.max()) + 1, n_classes)).argsort(axis=1)
    return np.asarray(names[group_of, labels])


def _ridge_guesses(
    learned: np.ndarray, dealt: np.ndarray, unseen: np.ndarray, n_classes: int
) -> np.ndarray:
    """Return a class for every unseen item under each way of labelling the learned ones.

    `dealt` has shape (n_ways, n_learned), its first row the real labels, which choose the penalty.
    """
    centre, spread = learned.mean(axis=0), learned.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    own, other = (learned - centre) / spread, (unseen - centre) / spread
    values, vectors = np.linalg.eigh(own @ own.T if len(own) <= own.shape[1] else own.T @ own)
    there = values > values.max() * 1e-9
    roots, vectors = np.sqrt(values[there]), vectors[:, there]
    # Coordinates of both sides along the left singular vectors, times the singular values there.
    if len(own) <= own.shape[1]:
        left, across = vectors, other @ (own.T @ (vectors / roots))
    else:
        left, across = own @ (vectors / roots), other @ vectors
    wanted = np.eye(n_classes)[dealt] - 1 / n_classes
    targets = np.einsum("nr,wnc->rwc", left, wanted, optimize=True)
    penalty = _best_penalty(left, roots**2, wanted[0], targets[:, 0]) if len(roots) else 1.0
    shrunk = targets * (roots / (roots**2 + penalty))[:, None, None]
    scores = np.tensordot(across, shrunk, axes=1)
    return np.asarray(scores.argmax(axis=2).T)


def _best_penalty(
    left: np.ndarray, squares: np.ndarray, wanted: np.ndarray, targets: np.ndarray
) -> float:
    """Return the penalty whose squared error, each learned item left out, is least."""
    penalties = [strength * len(left) for strength in STRENGTHS]
    errors = []
    for penalty in penalties:
        kept = squares / (squares + penalty)
        leverage = (left**2) @ kept + 1 / len(left)
        rest = wanted - left @ (kept[:, None] * targets)
        errors.append(float(((rest / np.maximum(1 - leverage, 1e-6)[:, None]) ** 2).mean()))
    return penalties[int(np.argmin(errors))]


def sample_of_groups(groups: np.ndarray, *, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of at most `most` items: large groups thinned, then whole groups by chance.

    Examples
    --------
    >>> rows = sample_of_groups(np.array([0] * 9 + [1]), most=5, rng=np.random.default_rng(0))
    >>> len(rows), 9 in rows
    (5, True)
    """
    shuffled = rng.permutation(len(groups))
    group_of = np.unique(groups, return_inverse=True)[1][shuffled]
    sizes = np.bincount(group_of)
    limit = int(sizes.max(initial=0))
    while limit > 2 and np.minimum(sizes, limit).sum() > most:
        limit = max(2, int(limit * 0.9))
    order = np.argsort(group_of, kind="stable")
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[group_of[order]]
    kept = np.flatnonzero(rank < limit)
    place = rng.permutation(len(sizes))[group_of[kept]]
    return np.asarray(shuffled[kept[np.argsort(place, kind="stable")][:most]])
