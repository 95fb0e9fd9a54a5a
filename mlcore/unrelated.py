"""What pictures of a set have in common that are no copies: how alike, and how crowded.

A copy has to be closer than that.
"""

from __future__ import annotations

import numpy as np

from mlcore.alignment import SIDE, batches, shapes, unexplained
from mlcore.neighbours import nearest, tail_exponent

BACKGROUND_SAMPLE = 1000
"""Other pictures that each one is compared with to learn what unrelated looks like."""

BACKGROUND_RANK = 3
"""Rank of the sampled picture that stands for "unrelated": two copies may be in the sample."""

LEAST_UNRELATED = 0.006
"""Unexplained share that a copy may have anyway: a brighter copy saved as JPEG leaves .006."""

CROWD_ITEMS = 500
"""Pictures of the sample, the first ones, that its exponent is the median of: twice as many would
cost twice the time to bring its standard error from 3 % to 2 %."""

CROWD_CANDIDATES = 12
"""Pictures of the most alike shape that are aligned to learn how residuals crowd."""


CHANCE_COPIES = 0.01
"""Share of items that may have, by chance, an unrelated one as close as a copy is.

Where items differ in few ways, such as drawings of simple shapes, chance puts some very close
together; a copy has to be closer still there. Digits and photos keep COPY_SHARE."""


def unrelated_level(pictures: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return the unexplained share between each picture and its nearest unrelated ones.

    Parameters
    ----------
    pictures : float ndarray of shape (n_items, SIDE * SIDE)
        Grey values.
    rng : numpy Generator
        Draws the sample of others.

    Returns
    -------
    float64 ndarray of shape (n_items,)
        One minus the correlation with the third most similar of a sample of others, but for
        those that differ by no more than a copy may anyway; small where many pictures look
        alike, such as scans of the same digit, and 1 where fewer than three others are left.
    """
    n_items = len(pictures)
    unit = np.concatenate([_unit(_halved(part)) for part in batches(pictures)])
    sample = rng.permutation(n_items)[:BACKGROUND_SAMPLE]
    drawn = unit[sample]
    place = np.full(n_items, -1)
    place[sample] = np.arange(len(sample))
    rank = min(BACKGROUND_RANK, len(sample))
    level = np.empty(n_items)
    for rows in batches(np.arange(n_items)):
        correlation = unit[rows] @ drawn.T
        itself = np.flatnonzero(place[rows] >= 0)
        correlation[itself, place[rows[itself]]] = 0.0
        correlation[correlation > 1.0 - LEAST_UNRELATED] = 0.0  # copies of it, however many
        correlation.partition(-rank, axis=1)
        level[rows] = 1.0 - correlation[:, -rank]
    return level


def crowd_exponent(pictures: np.ndarray, *, rng: np.random.Generator) -> float:
    """Return how fast the neighbours of a picture thin out towards it, as `tail_exponent` does.

    Few parameters make a set of drawings (a shape, its place, its size), so that chance alone
    puts two close together: about 1.5 there, 6 among scans of digits, 17 among photos.

    Parameters
    ----------
    pictures : float ndarray of shape (n_items, SIDE * SIDE)
        Grey values.
    rng : numpy Generator
        Draws the sample of BACKGROUND_SAMPLE pictures that are compared.
    """
    sample = pictures[rng.permutation(len(pictures))[:BACKGROUND_SAMPLE]]
    near = nearest(shapes(sample), k=CROWD_CANDIDATES).indices[:CROWD_ITEMS]
    own = np.repeat(np.arange(len(near)), near.shape[1])
    pairs = np.sort(np.stack([own, near.ravel()], axis=1), axis=1)
    pairs, places = np.unique(pairs, axis=0, return_inverse=True)
    left = unexplained(sample, sample, pairs)[places]
    return tail_exponent(np.sort(left.reshape(near.shape), axis=1))


def _halved(pictures: np.ndarray) -> np.ndarray:
    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    lines = grey[:, ::2] + grey[:, 1::2]
    return (lines[:, :, ::2] + lines[:, :, 1::2]).reshape(len(grey), -1) / 4


def _unit(rows: np.ndarray) -> np.ndarray:
    centred = np.asarray(rows, np.float32) - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(lengths, 1e-6)
    return unit


def chance_limit(most: float, *, rank: float, exponent: float) -> float:
    """Return the share of the distance to the `rank`-th neighbour below which copies are.

    Of `rank` neighbours within that distance, `rank * share ** exponent` lie within the share.
    """
    if exponent <= 0:
        return 0.0
    return float(min(most, (CHANCE_COPIES / rank) ** (1 / exponent)))
