"""Count which classes a model takes for which, and put alike classes side by side."""

from __future__ import annotations

import numpy as np


def confusion(labels: np.ndarray, predicted: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Count items per given and predicted class.

    Parameters
    ----------
    labels, predicted : int ndarray of shape (n_items,)
        Class indices, 0 to n_classes - 1.
    n_classes : int

    Returns
    -------
    int64 ndarray of shape (n_classes, n_classes)
        Row = given label, column = prediction.

    Examples
    --------
    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), n_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    codes = np.asarray(labels, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    if codes.size and (codes.min() < 0 or codes.max() >= n_classes * n_classes):
        raise ValueError(f"Class indices must lie between 0 and {n_classes - 1}.")
    return np.bincount(codes, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def similarity_order(matrix: np.ndarray) -> np.ndarray:
    """Order classes so that those taken for each other stand side by side.

    Parameters
    ----------
    matrix : int ndarray of shape (n_classes, n_classes)
        As `confusion` returns it.

    Returns
    -------
    int ndarray of shape (n_classes,)
        Class indices in display order: the optimal leaf order (Bar-Joseph et al. 2001,
        doi:10.1093/bioinformatics/17.suppl_1.S22) of average-linkage groups; the given order
        where there are fewer than three classes or no confusion at all.

    Examples
    --------
    >>> taken = np.array([[9, 0, 5, 0], [0, 9, 0, 4], [5, 0, 9, 0], [0, 4, 0, 9]])
    >>> order = similarity_order(taken).tolist()
    >>> abs(order.index(0) - order.index(2)), abs(order.index(1) - order.index(3))
    (1, 1)
    """
    n_classes = len(matrix)
    rates = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    alike = (rates + rates.T) / 2
    np.fill_diagonal(alike, 0.0)
    if n_classes < 3 or not alike.any():
        return np.arange(n_classes)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - alike
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return leaves_list(tree).astype(np.int64)
