"""Metrics of items that count by weights, and how much each item pulls on them.

A pull is the derivative by the item's weight (Hampel 1974), times the number of items: it is to a
metric what an item's distance from the mean is to a mean, and varies its estimate as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Valued:
    """What finds a value, 0 to 1, from which items are kept (bool); NaN where these have none.

    `pulls` finds how much each of all items moves it.
    """

    of: Callable[[np.ndarray], float]
    pulls: Callable[[], np.ndarray]


def production_weights(labels: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Return weights of items, mean 1, under which each class has its share in production.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
    shares : float ndarray of shape (n_classes,) or None
        None weighs all items alike. The shares of classes without an item go to the others.

    Returns
    -------
    float ndarray of shape (n_items,)

    Examples
    --------
    >>> production_weights(np.array([0, 0, 0, 1]), np.array([0.5, 0.5]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    labels = np.asarray(labels)
    if shares is None:
        return np.ones(len(labels))
    weights = shares[labels] / np.bincount(labels, minlength=len(shares))[labels]
    total = weights.sum()
    return np.asarray(weights * len(labels) / total if total > 0 else weights)


def centred(moved: np.ndarray, labels: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Return pulls, whose sum is 0, from derivatives.

    Where the classes' shares are known, how many items a class has says nothing, only how they
    differ within it.

    Examples
    --------
    >>> centred(np.array([1.0, 0.0, 1.0]), np.array([0, 0, 1]), np.array([0.5, 0.5]))
    array([ 0.375, -0.375,  0.   ])
    """
    if shares is None:
        return np.asarray(moved - moved.mean())
    means = np.bincount(labels, moved) / np.maximum(np.bincount(labels), 1)
    return np.asarray(production_weights(labels, shares) * (moved - means[labels]))


def mean_of(labels: np.ndarray, values: np.ndarray, shares: np.ndarray | None) -> Valued:
    """Return what finds the mean, by the classes' shares in production."""

    def value(kept: np.ndarray) -> float:
        weights = production_weights(labels[kept], shares)
        total = weights.sum()
        return float((weights * values[kept]).sum() / total) if total > 0 else math.nan

    return Valued(value, lambda: centred(values, labels, shares))


def macro_f1(
    labels: np.ndarray, predicted: np.ndarray, shares: np.ndarray | None, *, n_classes: int
) -> Valued:
    """Return what finds the mean F1 over classes that occur."""

    def counted(kept: np.ndarray) -> np.ndarray:
        given, said = labels[kept], predicted[kept]
        weights = production_weights(given, shares)
        terms = ((given, given == said), (given, 1.0), (said, 1.0))
        return np.array([np.bincount(one, weights * of, minlength=n_classes) for one, of in terms])

    def value(kept: np.ndarray) -> float:
        right, given, said = counted(kept)
        both = given + said
        return float((2 * right[both > 0] / both[both > 0]).mean()) if both.any() else math.nan

    def pulls() -> np.ndarray:
        counts = counted(np.ones(len(labels), dtype=bool)).ravel()
        return centred(moved_f1(counts, labels, predicted), labels, shares)

    return Valued(value, pulls)


def moved_f1(counts: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return how much each item moves macro-F1.

    Parameters
    ----------
    counts : float ndarray of shape (3 * n_classes,)
        Weights of items that are right, given and predicted, by class.
    labels, predicted : int ndarray of shape (n_items,)
    """
    right, given, said = np.split(counts, 3)
    both = np.where(given + said > 0, given + said, 1.0)
    f1 = 2 * right / both
    moved = 2 * (labels == predicted) / both[labels]
    moved -= f1[labels] / both[labels] + f1[predicted] / both[predicted]
    return np.asarray(moved * len(labels) / max(np.count_nonzero(given + said), 1))


def moved_auc(place: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return how much each item moves ROC AUC: its placement (DeLong et al. 1988).

    Parameters
    ----------
    place : int ndarray of shape (n_items,)
        Order of the scores, equal ones alike.
    is_positive : bool ndarray of shape (n_items,)
    weights : float ndarray of shape (n_items,)
    """
    positive = np.bincount(place, weights * is_positive)
    others = np.bincount(place, weights * ~is_positive)
    all_positive, all_others = positive.sum(), others.sum()
    below = (np.cumsum(others) - others / 2) / all_others
    above = 1 - (np.cumsum(positive) - positive / 2) / all_positive
    area = float((below * positive).sum()) / all_positive
    ahead = np.where(is_positive, below[place], above[place]) - area
    return np.asarray(len(place) * ahead / np.where(is_positive, all_positive, all_others))


def auc(place: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> float:
    """Return how often a positive item has the higher score, ties half (Hanley, McNeil 1982)."""
    positive = np.bincount(place, weights * is_positive)
    others = np.bincount(place, weights * ~is_positive)
    below = np.cumsum(others) - others / 2
    return float(min((below * positive).sum() / (positive.sum() * others.sum()), 1.0))


def recall_and_precision(
    place: np.ndarray, is_positive: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both at each score as the threshold, highest score first."""
    caught = np.cumsum(np.bincount(place, weights * is_positive)[::-1])
    called = np.cumsum(np.bincount(place, weights)[::-1])
    precision = np.divide(caught, called, out=np.zeros(len(called)), where=called > 0)
    return np.minimum(caught / caught[-1], 1.0), precision
