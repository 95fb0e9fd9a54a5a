"""Metrics of items that count by weights, and how much each item pulls on them.

A pull is the derivative by the item's weight (Hampel 1974), times the number of items: it is to a
metric what an item's distance from the mean is to a mean, and varies its estimate as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-9
"""By how much a precision may fall short of the least one through rounding alone."""
WINDOW = 1.96
"""Standard errors to each side over which the slope of a recall is taken: those of its limits."""


@dataclass(frozen=True)
class Valued:
    """A value, 0 to 1, and how much each item moves it.

    `least` and `most` are what it may be for its threshold alone, whatever the pulls say.
    """

    value: float
    pulls: np.ndarray
    least: float = 1.0
    most: float = 0.0


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
    """Return the mean, by the classes' shares in production."""
    mean = float(np.average(values, weights=production_weights(labels, shares)))
    return Valued(mean, centred(values, labels, shares))


def macro_f1(
    labels: np.ndarray, predicted: np.ndarray, shares: np.ndarray | None, *, n_classes: int
) -> Valued:
    """Return the mean F1 over classes that occur."""
    weights = production_weights(labels, shares)
    terms = ((labels, weights * (labels == predicted)), (labels, weights), (predicted, weights))
    counts = np.array([np.bincount(of, weighing, minlength=n_classes) for of, weighing in terms])
    right, both = counts[0], counts[1] + counts[2]
    pulls = centred(moved_f1(counts.ravel(), labels, predicted), labels, shares)
    return Valued(float((2 * right[both > 0] / both[both > 0]).mean()), pulls)


def roc_auc(
    labels: np.ndarray, place: np.ndarray, *, shares: np.ndarray | None, positive: int
) -> Valued:
    """Return how often a positive item has the higher score, ties half (Hanley, McNeil 1982).

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        `positive` against all others.
    place : int ndarray of shape (n_items,)
        Order of the scores, equal ones alike.
    shares : float ndarray of shape (n_classes,) or None
    """
    weights, is_positive = production_weights(labels, shares), labels == positive
    caught, others = (np.bincount(place, weights * side) for side in (is_positive, ~is_positive))
    below = (np.cumsum(others) - others / 2) / others.sum()
    above = 1 - (np.cumsum(caught) - caught / 2) / caught.sum()
    area = min(float((below * caught).sum() / caught.sum()), 1.0)
    ahead = np.where(is_positive, below[place], above[place]) - area  # DeLong et al. 1988
    moved = len(place) * ahead / np.where(is_positive, caught.sum(), others.sum())
    return Valued(area, centred(moved, labels, shares))


def recall_at(
    labels: np.ndarray,
    place: np.ndarray,
    *,
    shares: np.ndarray | None,
    positive: int,
    precision: float,
) -> Valued:
    """Return the most of the positive items that can be called out at a least precision.

    An item moves the recall at the threshold, and the threshold: by how much more is right among
    those called than must be, times how much recall that buys around the threshold, as far as the
    limits reach (as Woodruff 1952 does for quantiles; at one point the slope is a single item's).

    Parameters
    ----------
    labels, place, shares, positive
        As for `roc_auc`.
    precision : float
        Of what is called positive, the least share that must be.
    """
    n, is_positive = len(labels), labels == positive
    recall, spare = recall_and_spare(
        labels, place, shares=shares, positive=positive, precision=precision
    )

    def last(least: float) -> int:
        return int(np.flatnonzero(np.append(True, spare >= least))[-1])

    reached = np.append(0.0, recall)
    found = last(0.0)
    is_called = place >= len(spare) - found
    moved = is_positive * (is_called - reached[found]) * n / is_positive.sum()
    to_spare = centred(is_called * (is_positive - precision), labels, shares)
    far = WINDOW * max(float(to_spare.std()) / math.sqrt(n), 1 / n)
    least, most = float(reached[last(far)]), float(reached[last(-far)])
    pulls = moved + (most - least) / (2 * far) * to_spare
    return Valued(float(reached[found]), pulls, least, most)


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


def recall_and_spare(
    labels: np.ndarray,
    place: np.ndarray,
    *,
    shares: np.ndarray | None,
    positive: int,
    precision: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return both at each score as the threshold, highest score first.

    To spare is how many more of those called are positive than must be, a share of all items.
    """
    weights, is_positive = production_weights(labels, shares), labels == positive
    caught = np.cumsum(np.bincount(place, weights * is_positive)[::-1])
    called = np.cumsum(np.bincount(place, weights)[::-1])
    spare = (caught - (precision - ROUNDING) * called) / len(labels)
    return np.minimum(caught / caught[-1], 1.0), spare
