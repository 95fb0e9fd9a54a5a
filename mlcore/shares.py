"""State how sure a share of independent yes and no is, and a difference of two."""

from __future__ import annotations

import math

from mlcore.intervals import NORMAL_95, Interval, wilson


def share_interval(hits: int, n: int, *, z: float = NORMAL_95) -> Interval:
    """Return a share of independent yes and no, with Wilson's limits (Wilson 1927, eq. 2).

    Examples
    --------
    >>> found = share_interval(9, 10)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.9, 0.596, 0.982)
    """
    return wilson(hits / n, n, z)


def separate_difference(one: Interval, other: Interval) -> Interval:
    """Return one share minus another of other items (Newcombe 1998, method 10).

    Examples
    --------
    >>> found = separate_difference(share_interval(70, 100), share_interval(80, 100))
    >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
    (-0.1, -0.22, 0.02)
    """
    value = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Interval(value, value - below, value + above)


def items_for_width(share: float, width: float) -> int:
    """Return how many independent items a share needs for 95 % limits of at most this width.

    Examples
    --------
    >>> items_for_width(0.9, 0.2), items_for_width(0.9, 0.1)
    (37, 141)
    """
    n = 1
    while (found := wilson(share, n, NORMAL_95)).high - found.low > width:
        n += 1
    return n
