"""What acting on a threshold does: whom it catches, and whom in vain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.intervals import Interval, accuracy_interval
from mlcore.metrics import mean_of, recall_and_spare
from mlcore.success import ACCURACY, Success, limits_of


def best_threshold(
    success: Success, labels: np.ndarray, *, probabilities: np.ndarray
) -> float | None:
    """Return the probability of `positive` to act on: most recall that keeps the least precision.

    Of thresholds that catch as many the highest; None where none keeps it.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> wanted = Success("recall", positive=1, precision=1.0)
    >>> best_threshold(wanted, np.array([0, 0, 1, 1]), probabilities=sure)
    0.8
    """
    scores, place = np.unique(np.asarray(probabilities)[:, success.positive], return_inverse=True)
    recall, spare = recall_and_spare(
        labels,
        place,
        shares=success.shares,
        positive=success.positive,
        precision=success.precision,
    )
    enough = np.flatnonzero((spare >= 0) & (recall > 0))
    return float(scores[::-1][enough[recall[enough].argmax()]]) if len(enough) else None


@dataclass(frozen=True)
class Acting:
    """What acting on a threshold does: shares of the positive items, of the others, of all.

    `positive_share` is that of the class among all cases.
    """

    caught: Interval
    false: Interval
    called: Interval
    positive_share: float


def act(
    labels: np.ndarray,
    is_called: np.ndarray,
    *,
    groups: np.ndarray,
    positive: int,
    shares: np.ndarray | None = None,
) -> Acting:
    """Return which share of a class is called out, and of everything else.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
    is_called : bool ndarray of shape (n_items,)
        Whose probability of `positive` reaches the threshold.
    groups : int ndarray of shape (n_items,)
    positive : int
        A class that some items have, and others not.
    shares : float ndarray of shape (n_classes,), optional
        Of the classes in production, sum 1.

    Examples
    --------
    >>> labels, called = np.array([1, 1, 0, 0]), np.array([True, False, True, False])
    >>> found = act(labels, called, groups=np.arange(4), positive=1, shares=np.array([0.9, 0.1]))
    >>> found.caught.value, found.false.value, found.called.value, found.positive_share
    (0.5, 0.5, 0.5, 0.1)
    """
    labels, is_called, groups = np.asarray(labels), np.asarray(is_called), np.asarray(groups)
    is_positive = labels == positive
    found = {
        name: _share_called(labels[rows], is_called[rows], groups[rows], shares)
        for name, rows in (
            ("caught", is_positive),
            ("false", ~is_positive),
            ("called", np.ones(len(labels), dtype=bool)),
        )
    }
    share = float(is_positive.mean() if shares is None else shares[positive])
    return Acting(**found, positive_share=share)


def _share_called(
    labels: np.ndarray, is_called: np.ndarray, groups: np.ndarray, shares: np.ndarray | None
) -> Interval:
    if shares is None or not shares[labels].any():
        return accuracy_interval(is_called, groups)
    valued = mean_of(labels, is_called.astype(float), shares)
    return limits_of(valued, Success(ACCURACY, shares=shares), labels, groups=groups)
