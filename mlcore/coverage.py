"""What is missing of a data set whose shares were declared: how many more of each value."""

from collections.abc import Sequence

import numpy as np

WHOLE = 1e-9
"""How near to 1 declared shares add up to a whole; then nothing else is expected beside them."""


def missing_counts(have: Sequence[int], shares: Sequence[float], *, total: int) -> np.ndarray:
    """Return the least numbers of items to add so that every declared share is reached.

    Nothing is taken away: what there is too much of makes the whole larger. With n items of
    value v, share s of it and a whole of T, v lacks s T - n; T is the least for which what all
    values lack together is what is added, T - total.

    Parameters
    ----------
    have : sequence of int, length n_values
        How many items there are of each value.
    shares : sequence of float, length n_values
        Declared share of each, above 0; together at most 1. Where they are 1, items of other
        values do not count: no addition could make up for them.
    total : int
        All items, those of other values too.

    Returns
    -------
    int ndarray of shape (n_values,)
        Items to add of each value, rounded up.

    Examples
    --------
    >>> missing_counts([80, 10], [0.5, 0.2], total=100)
    array([ 0, 13])
    >>> missing_counts([80, 10], [0.5, 0.5], total=100)
    array([ 0, 70])
    """
    counts, wanted = np.asarray(have, float), np.asarray(shares, float)
    if (wanted <= 0).any() or wanted.sum() > 1 + WHOLE:
        raise ValueError("shares are above 0 and together at most 1")
    is_whole = wanted.sum() > 1 - WHOLE
    whole = float(counts.sum() if is_whole else total)
    order = np.argsort(counts / wanted, kind="stable")
    lacking = np.zeros(len(counts), bool)
    for value in order:  # those that lack most join first; each that joins makes the whole larger
        if counts[value] >= wanted[value] * whole:
            break
        lacking[value] = True
        rest = 1 - wanted[lacking].sum()
        if rest <= WHOLE:
            break
        whole = ((counts.sum() if is_whole else total) - counts[lacking].sum()) / rest
    short = np.where(lacking, wanted * whole - counts, 0)
    return np.ceil(np.maximum(0, short) - 1e-6).astype(int)
