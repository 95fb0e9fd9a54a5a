"""What needs no training: the commonest class, and the nearest middle of a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlcore.protocols import Division


def majority_baseline(labels: np.ndarray, divisions: Sequence[Division]) -> np.ndarray:
    """Predict for every item the commonest label of those that its head learned from.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
    divisions : sequence of Division

    Returns
    -------
    int64 ndarray of shape (n_items,)
        -1 where no division asks.

    Examples
    --------
    >>> halves = Division(np.array([2, 3]), np.array([0, 1]))
    >>> majority_baseline(np.array([0, 1, 1, 1]), [halves])
    array([ 1,  1, -1, -1])
    """
    predicted = np.full(len(labels), -1, dtype=np.int64)
    for division in divisions:
        predicted[division.unseen] = np.bincount(labels[division.seen]).argmax()
    return predicted


def nearest_centroid_baseline(
    features: np.ndarray, labels: np.ndarray, divisions: Sequence[Division], *, n_classes: int
) -> np.ndarray:
    """Say for every item how near the mean of each class lies, over what its head learned.

    Parameters
    ----------
    features : float ndarray of shape (n_items, n_features)
        Standardised on the items learned from before distances are taken.
    labels : int ndarray of shape (n_items,)
    divisions : sequence of Division

    Returns
    -------
    float32 ndarray of shape (n_items, n_classes)
        Rows sum to 1, highest where nearest; NaN where no division asks. Squared distances count
        by the feature, so that none rounds to 0 or 1: their order says something, no more.
    """
    scores = np.full((len(labels), n_classes), np.nan, dtype=np.float32)
    for division in divisions:
        learned, answers = features[division.seen], labels[division.seen]
        centre, spread = learned.mean(axis=0), learned.std(axis=0)
        spread = np.where(spread > 0, spread, 1)
        classes = np.unique(answers)
        means = np.stack([learned[answers == kind].mean(axis=0) for kind in classes])
        means = (means - centre) / spread
        standard = (features[division.unseen] - centre) / spread
        squares = (means**2).sum(axis=1) - 2 * standard @ means.T
        near = np.exp((squares.min(axis=1, keepdims=True) - squares) / features.shape[1])
        told = np.zeros((len(near), n_classes))
        told[:, classes] = near / near.sum(axis=1, keepdims=True)
        scores[division.unseen] = told
    return scores
