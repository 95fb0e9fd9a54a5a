"""Tell small grey pictures that show one even spot on plain ground, such as a moon in the sky.

A dozen numbers describe such a picture, and alignment fits four of them to any other: that two
then agree is no evidence of a copy. That they agree to a fraction of a pixel as they are, is.
"""

from __future__ import annotations

import numpy as np

from mlcore.images import HASH_SIDE as SIDE
from mlcore.images import LEAST_STRUCTURE, NOISE_COEFFICIENT

MOST_LEFT = 0.05
"""Share of the variance that ground and spot may leave of a plain picture. Discs and ellipses leave
.01; of 600 photos of clothing the plainest .08, of 1,000 of `cifar10` .055, one in 100 .13."""

ROUNDS = 4
"""Fits of the ground, each to the pixels near the last one."""

NEAR, NOISE = 3.0, 2.0
"""Mean deviations, and grey levels, up to which a pixel belongs to the ground."""

LEAST_DETAIL = LEAST_STRUCTURE / 63
"""Share of the DCT coefficients between an eighth and a half of the finest that are above noise, at
least, as of those that a hash holds. Plain skies have .02 with a soft light spot, .2 with the
sharpest; the smoothest photo of clothing .52, of `cifar10` .56, blurred by 5 % of its side .1."""

BATCH = 64
"""Pictures worked on at once; they stay in the cache."""

_AT = (np.arange(SIDE) - (SIDE - 1) / 2).astype(np.float32)
_DOWN, _RIGHT = (place.ravel() for place in np.meshgrid(_AT, _AT, indexing="ij"))
_ONE = np.ones_like(_DOWN)
_MOMENTS = np.stack([_ONE, _DOWN, _RIGHT, _DOWN**2, _DOWN * _RIGHT, _RIGHT**2], axis=1)
_GROUND = np.linalg.qr(_MOMENTS)[0]
_PLANE = _MOMENTS[:, :3]
_PLANES = (_PLANE[:, :, None] * _PLANE[:, None, :]).reshape(-1, 9)
#: Variance of a place within one pixel.
_PIXEL = 1 / 12


def has_detail(pictures: np.ndarray) -> np.ndarray:
    """Return which pictures show anything finer than a slow change of light.

    Without it a few numbers describe a picture, and two that agree in them are no copies.

    Parameters
    ----------
    pictures : ndarray of shape (n_items, SIDE * SIDE)
        Grey levels, 0 to 255.

    Returns
    -------
    bool ndarray of shape (n_items,)
    """
    starts = range(0, len(pictures), BATCH)
    parts = [_detail(pictures[start : start + BATCH]) for start in starts]
    return np.concatenate([np.zeros(0), *parts]) >= LEAST_DETAIL


def _detail(pictures: np.ndarray) -> np.ndarray:
    from scipy.fft import dctn  # here, since web processes import this module

    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    above = np.abs(dctn(grey, axes=(1, 2), norm="ortho")) >= NOISE_COEFFICIENT
    half, eighth = SIDE // 2, SIDE // 4
    fine = above[:, :half, :half].sum(axis=(1, 2)) - above[:, :eighth, :eighth].sum(axis=(1, 2))
    return np.asarray(fine / (half**2 - eighth**2))


def is_plain_shape(pictures: np.ndarray) -> np.ndarray:
    """Return which pictures are a smooth ground with one even ellipse or upright rectangle.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, SIDE * SIDE)
        Grey levels, 0 to 255.

    Returns
    -------
    bool ndarray of shape (n_pictures,)
        Whether a ground of second order and the spot leave at most MOST_LEFT of the variance.

    Examples
    --------
    >>> square = np.zeros((1, SIDE, SIDE))
    >>> square[:, 8:16, 4:12] = 200
    >>> is_plain_shape(square.reshape(1, -1)).tolist()
    [True]
    """
    starts = range(0, len(pictures), BATCH)
    parts = [_is_plain(pictures[start : start + BATCH].astype(np.float32)) for start in starts]
    return np.concatenate([np.zeros(0, bool), *parts])


def plain_but_apart(
    pictures: np.ndarray, others: np.ndarray, pairs: np.ndarray, *, most: float
) -> np.ndarray:
    """Return which pairs are two plain shapes that do not lie where the other one does.

    Parameters
    ----------
    pictures, others : ndarrays of shape (n_pictures, SIDE * SIDE)
        Grey levels, 0 to 255.
    pairs : int ndarray of shape (n_pairs, 2)
        Rows (i, j): pictures[i] with others[j].
    most : float
        Share of what stands out from the ground that two of one shape leave of each other, as
        they are, at most. A disc of radius r px moved by d px leaves about d**2 / r.

    Returns
    -------
    bool ndarray of shape (n_pairs,)
    """
    apart = np.zeros(len(pairs), bool)
    plain = np.flatnonzero(_are_plain(pictures, pairs[:, 0]))
    plain = plain[_are_plain(others, pairs[plain, 1])]
    one, other = _level(pictures[pairs[plain, 0]]), _level(others[pairs[plain, 1]])
    sizes = np.einsum("ij,ij->i", one, one) * np.einsum("ij,ij->i", other, other)
    match = np.maximum(np.einsum("ij,ij->i", one, other), 0.0)
    apart[plain] = 1.0 - match**2 / np.maximum(sizes, 1e-6) > most
    return apart


def _are_plain(pictures: np.ndarray, rows: np.ndarray) -> np.ndarray:
    distinct, places = np.unique(rows, return_inverse=True)
    return is_plain_shape(pictures[distinct])[places]


def _level(pictures: np.ndarray) -> np.ndarray:
    """Return what stands out from a ground of second order."""
    grey = pictures.astype(np.float32)
    grey -= grey.mean(axis=1, keepdims=True)
    return np.asarray(grey - (grey @ _GROUND) @ _GROUND.T)


def _is_plain(grey: np.ndarray) -> np.ndarray:
    grey = grey - grey.mean(axis=1, keepdims=True)
    variance = np.maximum(np.einsum("ij,ij->i", grey, grey), 1e-6)
    level = _level(grey)
    left = np.einsum("ij,ij->i", level, level)
    explained = np.zeros(len(grey))
    for spot in _spots(_above_ground(grey)):
        spot -= (spot @ _GROUND) @ _GROUND.T
        size = np.maximum(np.einsum("ij,ij->i", spot, spot), 1e-6)
        explained = np.maximum(explained, np.einsum("ij,ij->i", level, spot) ** 2 / size)
    return np.asarray(left - explained <= MOST_LEFT * variance)


def _above_ground(grey: np.ndarray) -> np.ndarray:
    """Return what is left of a tilted plane fitted to most of the pixels."""
    weights = np.ones_like(grey)
    for _ in range(ROUNDS):
        gram = (weights @ _PLANES).reshape(-1, 3, 3) + 1e-3 * np.eye(3, dtype=np.float32)
        plane = np.linalg.solve(gram, ((weights * grey) @ _PLANE)[..., None])[..., 0]
        left = grey - plane @ _PLANE.T
        off = np.abs(left)
        usual = np.einsum("ij,ij->i", off, weights) / np.maximum(weights.sum(axis=1), 1.0)
        weights = (off <= NEAR * usual[:, None] + NOISE).astype(np.float32)
    return np.asarray(left)


def _spots(left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each pixel the ellipse and the rectangle of the same moments cover."""
    off = np.abs(left)
    off *= off > off.max(axis=1, keepdims=True) / 2
    moments = off @ _MOMENTS
    moments /= np.maximum(moments[:, :1], 1e-6)
    _, y, x, yy, xy, xx = moments.T[:, :, None]
    yy, xy, xx = yy - y * y + _PIXEL, xy - x * y, xx - x * x + _PIXEL
    down, right = _DOWN - y, _RIGHT - x
    area = yy * xx - xy * xy
    distance = np.sqrt((xx * down**2 - 2 * xy * down * right + yy * right**2) / area) / 2
    ellipse = np.clip((1 - distance) * 2 * np.sqrt(np.sqrt(area)) + 0.5, 0, 1)
    high = np.clip(np.sqrt(3 * yy) - np.abs(down) + 0.5, 0, 1)
    return ellipse, high * np.clip(np.sqrt(3 * xx) - np.abs(right) + 0.5, 0, 1)
