"""What chance does: p-values of permutation tests, as all checks compute them."""

from __future__ import annotations

import numpy as np

PERMUTATIONS = 400
"""Shuffles; the smallest p-value is 1 in 401."""

SURE = 0.01
"""Most probable that the largest of everything looked at comes by chance."""


def p_value(value: float, by_chance: np.ndarray) -> float:
    """Return how often chance reaches a value, the real order counted as one of the shuffles.

    Parameters
    ----------
    value : float
    by_chance : float ndarray of shape (n_shuffles,)
        The statistic in each shuffle; where many are looked at, the largest of them, which
        corrects for their number (Westfall and Young 1993).

    Returns
    -------
    float
        From 1 / (n_shuffles + 1) to 1 (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).

    Examples
    --------
    >>> p_value(3.0, np.array([1.0, 2.0, 4.0]))
    0.5
    """
    return float((1 + np.count_nonzero(by_chance >= value)) / (1 + len(by_chance)))
