"""Tell small grey pictures that show next to nothing, such as a sky with a moon, and compare them.

A dozen numbers describe such a picture, and alignment fits four of them to any other: that two
agree once they are moved is no evidence of a copy. That they agree as they are, but for the noise
of another encoding, is.
"""

from __future__ import annotations

import numpy as np

from mlcore.image_hashes import HASH_SIDE as SIDE

STANDS_OUT = 2.0
"""Grey levels from the mean of its four neighbours from which a pixel shows something: JPEG and
the noise of a camera, averaged to 32 x 32, move it by less than half as much."""

LEAST_DETAIL = 0.2
"""Share of such pixels from which a picture has detail; the outline of the largest disc that fits
takes as much. One disc, crescent, triangle, letter or horizon has .14 at most, two discs .17; the
plainest of 600 photos of clothing .31, one in 100 of `cifar10` .34."""

LEAST_SHOWN = 0.01
"""The same from which it shows anything but light. Skies with a soft light spot have 0, and by
chance two of 60 differ by no more than noise; the least of discs and crescents .02."""

NOISE = 1.5
"""Grey levels (root mean square) that another encoding changes a copy by at most. JPEG of quality
40 moves 99 of 100 coefficients by less than NOISE_COEFFICIENT, 4.0: that is 2.6 deviations."""

BATCH = 512
"""Pictures, or pairs, worked on at once; they stay in the cache."""


def detail(pictures: np.ndarray) -> np.ndarray:
    """Return which share of its pixels a picture shows more by than light.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, SIDE * SIDE)
        Grey levels, 0 to 255.

    Returns
    -------
    float64 ndarray of shape (n_pictures,)
        0 to 1: of the pixels that have four neighbours, those that stand out from their mean.

    Examples
    --------
    >>> board = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 255
    >>> detail(np.stack([board.ravel(), np.arange(SIDE * SIDE) / 4])).tolist()
    [1.0, 0.0]
    """
    starts = range(0, len(pictures), BATCH)
    shares = [_detail(pictures[start : start + BATCH]) for start in starts]
    return np.concatenate([np.zeros(0), *shares])


def _detail(pictures: np.ndarray) -> np.ndarray:
    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    off = 4 * grey[:, 1:-1, 1:-1]
    off -= grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1]
    off -= grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return np.asarray((np.abs(off) > 4 * STANDS_OUT).mean(axis=(1, 2)))


def differ_in_place(
    pictures: np.ndarray, others: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare pictures as they are, but for brightness and contrast.

    Parameters
    ----------
    pictures, others : ndarrays of shape (n_pictures, SIDE * SIDE)
        Grey levels, 0 to 255.
    pairs : int ndarray of shape (n_pairs, 2)
        Rows (i, j): pictures[i] with others[j].

    Returns
    -------
    share, deviation : float64 ndarrays of shape (n_pairs,)
        What one leaves unexplained of the other: as a share of its variance, 0 to 1, and in
        grey levels (root mean square) of the one with more contrast.

    Examples
    --------
    >>> ramp = np.arange(SIDE * SIDE)[None] / 8
    >>> share, deviation = differ_in_place(ramp, ramp / 2 + 9, np.array([[0, 0]]))
    >>> bool(share[0] < 1e-6 and deviation[0] < 0.1)
    True
    """
    told = [
        _differ(pictures[part[:, 0]], others[part[:, 1]])
        for part in (pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH))
    ]
    share, deviation = np.concatenate([np.zeros((2, 0)), *told], axis=1)
    return share, deviation


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = (
        grey - grey.mean(axis=1, keepdims=True, dtype=np.float64) for grey in (one, other)
    )
    energies = np.stack([np.einsum("ij,ij->i", grey, grey) for grey in (one, other)])
    match = np.maximum(np.einsum("ij,ij->i", one, other), 0.0)
    share = np.clip(1.0 - match**2 / np.maximum(energies.prod(axis=0), 1e-6), 0.0, 1.0)
    return np.stack([share, np.sqrt(share * energies.max(axis=0) / one.shape[1])])
