"""Find out whether a small grey picture is a part of another one: a crop, or what a frame holds."""

from __future__ import annotations

import numpy as np

from mlcore.alignment import SIDE, batches, left_of_middles

PART_SIDE = 0.8
"""Side of a part where the fit begins, of the whole's: from there it finds .7 to .9. A part of a
larger side is found without it; one of a smaller does not fill what is compared."""

STARTS = ((PART_SIDE, PART_SIDE), (PART_SIDE, 1.0), (1.0, PART_SIDE))
"""Height and width of a part where fits begin: cut all round, above or below, at the sides."""


def left_as_part(pictures: np.ndarray, pairs: np.ndarray, *, most: np.ndarray) -> np.ndarray:
    """Return the share of each second picture that no part of the first can explain.

    The second is made smaller, to the size that it would have within the first, and looked for
    there. Its own middle is compared, so that the first may show anything around it.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, SIDE * SIDE)
        Grey values.
    pairs : int ndarray of shape (n_pairs, 2)
        Rows of the whole and of the part.
    most : float ndarray of shape (n_pairs,)
        What matters no more, as for `mlcore.alignment.unexplained`.

    Returns
    -------
    float64 ndarray of shape (n_pairs,)
        0 to 1; where a pair reaches `most`, only that it does.

    Examples
    --------
    >>> light = np.sin(np.arange(40) / 5) + np.cos(np.arange(40) / 4)[:, None]
    >>> means = np.kron(np.eye(32), np.ones(5)) @ np.kron(np.eye(40), np.ones((4, 1))) / 5
    >>> whole, part = means @ light @ means.T, light[4:36, 4:36]
    >>> pictures = np.stack([whole.ravel(), part.ravel()])
    >>> bool(left_as_part(pictures, np.array([[0, 1]]), most=np.ones(1))[0] < 0.01)
    True
    """
    parts, places = np.unique(pairs[:, 1], return_inverse=True)
    backward = np.stack([places, pairs[:, 0]], axis=1)
    left = np.ones(len(pairs))
    for height, width in STARTS:
        small = [_shrunk(part, height, width) for part in batches(pictures[parts])]
        tried = left_of_middles(np.concatenate(small), pictures, backward, most, zoomed=True)
        left = np.minimum(left, tried)
    return left


def _shrunk(pictures: np.ndarray, height: float, width: float) -> np.ndarray:
    rows, columns = _shrinking(height), _shrinking(width)
    small = rows @ pictures.reshape(-1, SIDE, SIDE) @ columns.T
    return np.asarray(small.reshape(len(pictures), SIDE * SIDE))


def _shrinking(share: float) -> np.ndarray:
    """Return what makes a line of pixels shorter around its middle: means of all they cover."""
    ends = SIDE / 2 + (np.arange(SIDE + 1) - SIDE / 2) / share
    low, high = ends[:-1, None], ends[1:, None]
    pixels = np.arange(SIDE)
    covered = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
    weights = np.maximum(covered, 0.0).astype(np.float32)
    weights[:, 0] += np.maximum(np.minimum(high[:, 0], 0.0) - low[:, 0], 0.0)
    weights[:, -1] += np.maximum(high[:, 0] - np.maximum(low[:, 0], SIDE), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)
