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


LEAST_CLASSES = 4
"""Fewer have too few pairs, and too few orders of the classes, to compare."""

ORDERS = 999
"""Orders of the classes that chance is tried with."""


def pair_rates(matrix: np.ndarray) -> np.ndarray:
    """Return how often two classes are taken for each other, either way.

    Parameters
    ----------
    matrix : ndarray of shape (n_classes, n_classes)
        As `confusion` returns it.

    Returns
    -------
    float ndarray of shape (n_classes, n_classes)
        Symmetric: share of the items of both that were taken for the other one; the diagonal is 0.

    Examples
    --------
    >>> pair_rates(np.array([[6, 2], [1, 1]])).round(2).tolist()
    [[0.0, 0.3], [0.3, 0.0]]
    """
    totals = matrix.sum(axis=1)
    rates = (matrix + matrix.T) / np.maximum(totals[:, None] + totals[None, :], 1)
    np.fill_diagonal(rates, 0.0)
    return rates


def same_pairs(
    one: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Say whether two confusion matrices confuse the same pairs of classes.

    Parameters
    ----------
    one, other : ndarray of shape (n_classes, n_classes)
        As `confusion` returns them, of the same classes in the same order.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of float, or None
        Spearman's correlation of `pair_rates` over all pairs, -1 to 1, and the chance of one as
        large when the classes of one matrix are shuffled: pairs that share a class are not
        independent (Mantel 1967, Cancer Research 27:209). None where there are too few classes,
        or one matrix confuses all pairs alike.
    """
    from scipy.stats import rankdata

    n_classes = len(one)
    pairs = np.triu_indices(n_classes, k=1)
    if n_classes < LEAST_CLASSES:
        return None
    first, second = pair_rates(one), pair_rates(other)
    if not np.ptp(first[pairs]) or not np.ptp(second[pairs]):
        return None
    ranks = np.zeros_like(second)
    ranks[pairs] = rankdata(second[pairs])
    ranks += ranks.T
    told = rankdata(first[pairs])
    orders = [rng.permutation(n_classes) for _order in range(ORDERS)]
    shuffled = np.array([ranks[np.ix_(order, order)][pairs] for order in orders])
    found = float(np.corrcoef(told, ranks[pairs])[0, 1])
    by_chance = _correlations(told, shuffled)
    return found, float((1 + (by_chance >= found - 1e-9).sum()) / (1 + ORDERS))


def _correlations(told: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the correlation of one row with each of many."""
    told, rows = told - told.mean(), rows - rows.mean(axis=1, keepdims=True)
    return (rows @ told) / np.sqrt((rows**2).sum(axis=1) * (told**2).sum())
