"""The eight ways in which a square picture can lie, and pictures alike once one lies otherwise."""

from __future__ import annotations

import numpy as np

from mlcore.alignment import SIDE, batches
from mlcore.hamming import close_pairs, each_once
from mlcore.image_hashes import hash_coefficients, hashes_from

MIRRORED, FLIPPED, TRANSPOSED = 1, 2, 4
"""Bits of a way: left and right swapped, top and bottom, then rows and columns."""

HALF_TURN, LEFT_TURN, RIGHT_TURN = MIRRORED | FLIPPED, MIRRORED | TRANSPOSED, FLIPPED | TRANSPOSED

N_WAYS = 8

UNSURE = 0.3
"""Share of a typical low coefficient below which those that tell how a picture lies may be the
other way round in a copy; every way is looked for then. Without it up to 5 in 100 copies of
clothing at 96 px are missed, none from a tenth on; so it is 1.5 to 1.8 hashes a picture."""


def lying(pictures: np.ndarray, way: int) -> np.ndarray:
    """Return grey pictures of shape (n, SIDE * SIDE) mirrored, flipped, then transposed.

    Examples
    --------
    >>> picture = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    >>> bool((lying(picture, LEFT_TURN) == np.rot90(picture)).all())
    True
    """
    grey = _square(pictures)
    grey = grey[:, :, ::-1] if way & MIRRORED else grey
    grey = grey[:, ::-1] if way & FLIPPED else grey
    grey = grey.transpose(0, 2, 1) if way & TRANSPOSED else grey
    return grey.reshape(pictures.shape)


def changed_pairs(pictures: np.ndarray, *, most_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of pictures whose hashes are close once one lies otherwise.

    Each picture is hashed as it lies once its light is to the left and above and changes more
    across than down: equal for all eight ways, so that one search finds copies in any of them.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, SIDE * SIDE)
        Luma, 0 to 255.
    most_bits : int
        Bits of 64 by which hashes may differ.

    Returns
    -------
    int ndarray of shape (n_pairs, 2), int ndarray of shape (n_pairs,)
        Rows (i, j), i < j, and the way in which j has to lie to look as i does; never 0.
    """
    coefficients = np.concatenate(
        [hash_coefficients(_square(part).astype(np.float32)) for part in batches(pictures)]
    )
    rows, ways = _tried(coefficients)
    tried = [
        _hashed(coefficients[rows[part]], ways[part]) for part in batches(np.arange(len(rows)))
    ]
    hashes = np.concatenate(tried)
    pairs = close_pairs(hashes, hashes[: len(pictures)], most_bits=most_bits)
    ways = _then(ways[pairs[:, 1]], _back(ways[pairs[:, 0]]))
    one, other = rows[pairs[:, 0]], pairs[:, 1]
    ways = np.where(one < other, ways, _back(ways))
    n, apart = len(pictures), (one != other) & (ways > 0)
    told = (np.minimum(one, other) * n + np.maximum(one, other)) * N_WAYS + ways
    told, ways = np.divmod(each_once(told[apart]), N_WAYS)
    return np.stack(np.divmod(told, max(n, 1)), axis=1), ways


def _square(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(-1, SIDE, SIDE)


def _tried(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ways in which pictures are hashed, with their rows: first one of each, in order.

    `close_pairs` pairs no row with its own number: no picture with its own first way.
    """
    across, down = coefficients[:, 0, 1], coefficients[:, 1, 0]
    steeper = np.abs(down) - np.abs(across)
    told = np.stack([-across, -down, steeper])
    bits = np.array([MIRRORED, FLIPPED, TRANSPOSED])
    upright = bits @ (told > 0)
    low = np.square(coefficients[:, :4, :4]).sum(axis=(1, 2)) - np.square(coefficients[:, 0, 0])
    is_unsure = np.abs(told) < UNSURE * np.sqrt(np.maximum(low, 0.0) / 15)
    rows, ways = [np.arange(len(upright))], [upright]
    for change in range(1, N_WAYS):
        rows.append(np.flatnonzero(is_unsure[(bits & change) > 0].all(axis=0)))
        ways.append(upright[rows[-1]] ^ change)
    return np.concatenate(rows), np.concatenate(ways)


def _hashed(coefficients: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Return the hashes of pictures that lie so: odd coefficients change sign, columns are rows."""
    has = [(ways & bit > 0)[:, None, None] for bit in (MIRRORED, FLIPPED, TRANSPOSED)]
    odd = np.where(np.arange(8) % 2, -1.0, 1.0).astype(np.float32)
    turned = np.where(has[0], coefficients * odd, coefficients)
    turned = np.where(has[1], turned * odd[:, None], turned)
    turned = np.where(has[2], turned.transpose(0, 2, 1), turned)
    return hashes_from(turned)


def _then(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the way that is one way after another; a flip of what is transposed is a mirror."""
    flips = np.where(first & TRANSPOSED, _swapped(second), second & HALF_TURN)
    return first ^ flips ^ (second & TRANSPOSED)


def _back(ways: np.ndarray) -> np.ndarray:
    """Return the ways that undo these."""
    return np.where(ways & TRANSPOSED, _swapped(ways) | TRANSPOSED, ways)


def _swapped(ways: np.ndarray) -> np.ndarray:
    return (ways & MIRRORED) << 1 | (ways & FLIPPED) >> 1
