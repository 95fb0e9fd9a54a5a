"""Whether predictions say anything about labels, in ways that labels dealt at random rarely show.

Macro-F1, a cost, production shares and recall at a precision are no such ways: who guesses without
looking is often far ahead of who always says the commonest class (`bench/no_signal.py`).
"""

from __future__ import annotations

import numpy as np

from mlcore.intervals import Interval
from mlcore.success import RECALL, ROC_AUC, Success, measure

CHANCE = 0.5
"""ROC AUC of an order that says nothing."""
OF_ONE_CLASS = (RECALL, ROC_AUC)
"""Metrics that are about the order in which items are taken for one class."""
SHARED_LEARNING = 1.5
"""Heads of five folds share most of what they learned by chance, so their score varies as much
more than that of one head: sqrt(1 + 5 / 4) (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366).
"""


def always_commonest(labels: np.ndarray) -> np.ndarray:
    """Return which items are right by always saying what is commonest among them.

    Not what was commonest among those that a fold's head learned from: with few groups that is
    often another class, and guessing beats it.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)

    Returns
    -------
    bool ndarray of shape (n_items,)

    Examples
    --------
    >>> always_commonest(np.array([0, 1, 1]))
    array([False,  True,  True])
    """
    return np.asarray(labels == np.bincount(labels).argmax())


def order_of_class(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, *, positive: int
) -> Interval:
    """Return the ROC AUC of one class, with limits as wide as cross-validated heads need.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
    probabilities : float ndarray of shape (n_items, n_classes)
        Out of sample.
    groups : int ndarray of shape (n_items,)
    positive : int
        The class against all others; Impossible in words where there are none of either.

    Returns
    -------
    Interval
        0 to 1; the order says something where `low` is above CHANCE.

    Examples
    --------
    >>> labels = np.arange(200) % 2
    >>> found = order_of_class(labels, np.eye(2)[labels], np.arange(200), positive=1)
    >>> found.value, found.low > CHANCE
    (1.0, True)
    """
    wanted = Success(ROC_AUC, positive=positive)
    found = measure(wanted, labels, probabilities=probabilities, groups=groups)
    low, high = (
        found.value + SHARED_LEARNING * (end - found.value) for end in (found.low, found.high)
    )
    return Interval(found.value, max(0.0, low), min(1.0, high))
