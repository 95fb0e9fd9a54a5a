"""Compare small grey pictures but for a strip across one: a line of text, a bar, or a logo."""

from __future__ import annotations

import numpy as np

from mlcore.image_hashes import HASH_SIDE as SIDE
from mlcore.unrelated import LEAST_UNRELATED

STRIP_ROWS = 6
"""Rows that a strip takes at most: a line of letters a seventh of the picture high, and its edge.
Any row left out brings unrelated pictures closer as well."""

UNRELATED_RANK = 3
"""Rank of the other picture that stands for "unrelated": two copies may be among the others."""

BATCH = 512
"""Pairs worked on at once."""


def left_but_for_a_strip(
    pictures: np.ndarray, pairs: np.ndarray, *, levels: np.ndarray, most: float, others: np.ndarray
) -> np.ndarray:
    """Return what each pair leaves without STRIP_ROWS adjacent rows, of what unrelated ones do.

    They are compared as they lie, but for brightness and contrast. What is equal in a whole row or
    column, such as a horizon, a sky or a floor, may agree by chance: what is left of the pictures
    without the means of both has to agree as well, far better than with others. So forms that
    differ in one line, or plates by their letters, are no copies.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, SIDE * SIDE)
        Grey levels, 0 to 255.
    pairs : int ndarray of shape (n_pairs, 2)
    levels : float ndarray of shape (n_pairs,)
        Share of a whole picture that unrelated ones leave.
    most : float
        What matters no more.
    others : int ndarray of shape (n_others,)
        Rows of pictures that show what unrelated ones leave beside the strip.

    Returns
    -------
    float64 ndarray of shape (n_pairs,)
        Where a pair reaches `most`, only that it does.

    Examples
    --------
    >>> pictures = np.random.default_rng(1).uniform(size=(9, SIDE, SIDE)) * 255
    >>> pictures[1] = np.where(np.arange(SIDE)[:, None] < SIDE - 5, pictures[0], 0)
    >>> pairs, flat = np.array([[0, 1], [0, 2]]), pictures.reshape(9, -1)
    >>> told = {"levels": np.ones(2), "most": 1, "others": np.arange(9)}
    >>> left_but_for_a_strip(flat, pairs, **told).round(1).tolist()
    [0.0, 1.0]
    """
    left, strips = np.ones(len(pairs)), np.zeros(len(pairs), int)
    for start in range(0, len(pairs), BATCH):
        part = slice(start, start + BATCH)
        sides = pictures[pairs[part]].reshape(-1, 2, SIDE, SIDE).astype(np.float32)
        shares = _left_without_each(sides[:, 0], sides[:, 1])
        strips[part] = shares.argmin(axis=1)
        left[part] = shares.min(axis=1) / levels[part]
    close = left < most
    for strip in np.unique(strips[close]):
        chosen = np.flatnonzero(close & (strips == strip))
        within, unrelated = _within_lines(pictures, pairs[chosen], strip=strip, others=others)
        share = np.maximum(within, LEAST_UNRELATED) / np.minimum(unrelated, levels[chosen])
        left[chosen] = np.maximum(left[chosen], share)
    return left


def _left_without_each(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return what is left without the strip that begins at each row."""
    sums = [ones, others, ones * ones, others * others, ones * others]
    one, other, square, other_square, product = (_without_each(values) for values in sums)
    kept = (SIDE - STRIP_ROWS) * SIDE
    energies = (square - one**2 / kept) * (other_square - other**2 / kept)
    match = np.maximum(product - one * other / kept, 0.0)
    return np.asarray(1.0 - np.minimum(match**2 / np.maximum(energies, 1e-6), 1.0))


def _without_each(values: np.ndarray) -> np.ndarray:
    rows = values.sum(axis=2, dtype=np.float64)
    until = np.pad(rows.cumsum(axis=1), ((0, 0), (1, 0)))
    return np.asarray(until[:, -1:] - (until[:, STRIP_ROWS:] - until[:, :-STRIP_ROWS]))


def _within_lines(
    pictures: np.ndarray, pairs: np.ndarray, *, strip: int, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what pairs, and unrelated ones, leave of what no row or column has as a whole."""
    background = _unit(pictures[others], strip)
    rank = min(UNRELATED_RANK, len(others))
    left, level = np.empty((2, len(pairs)))
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        one, other = (_unit(pictures[side], strip) for side in part.T)
        unrelated = _left(one @ background.T)
        unrelated[part[:, :1] == others] = 1.0  # not of itself
        unrelated.partition(rank - 1, axis=1)
        level[start : start + BATCH] = np.maximum(unrelated[:, rank - 1], 1e-6)
        left[start : start + BATCH] = _left(np.vecdot(one, other))
    return left, level


def _unit(pictures: np.ndarray, strip: int) -> np.ndarray:
    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    kept = np.delete(grey, np.s_[strip : strip + STRIP_ROWS], axis=1)
    kept -= kept.mean(axis=2, keepdims=True)
    kept -= kept.mean(axis=1, keepdims=True)
    flat = kept.reshape(len(kept), (SIDE - STRIP_ROWS) * SIDE)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(lengths, 1e-6))


def _left(match: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 - np.clip(match, 0.0, 1.0) ** 2)
