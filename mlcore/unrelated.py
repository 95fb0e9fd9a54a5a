"""What pictures of a set have in common that are no copies: how alike, and how crowded.

A copy has to be closer than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.alignment import SIDE, batches, shapes, unexplained
from mlcore.neighbours import nearest, tail_exponent
from mlcore.plain_pictures import LEAST_DETAIL, LEAST_SHOWN, NOISE, detail, differ_in_place

COPY_SHARE = 1 / 3
"""A copy leaves at most this share unexplained of what its nearest unrelated picture leaves.

Planted copies of three demo sets reach at most .30, their natural look-alikes start at .44;
in the clothing photos the one true copy has .001, the next pair .73 (docs/detectors.md)."""

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


@dataclass(frozen=True)
class Yardstick:
    """What unrelated pictures leave, per picture, and the share of it that a copy may leave.

    Copies may be `zoomed`, but not where pictures differ in few ways: sizes tell them apart there.
    Two of which none has enough `detail` are compared as they are, or not at all. The rows `drawn`
    at random are the sample that stands for the others.
    """

    level: np.ndarray
    limit: float
    zoomed: bool
    detail: np.ndarray
    drawn: np.ndarray

    def level_of(self, pairs: np.ndarray) -> np.ndarray:
        """Return what unrelated pictures leave of the one of a pair that has the most alike."""
        return np.minimum(self.level[pairs[:, 0]], self.level[pairs[:, 1]])

    def share_left(
        self, pictures: np.ndarray, others: np.ndarray, pairs: np.ndarray, *, most: float
    ) -> np.ndarray:
        """Return what each pair leaves of what unrelated pictures do; true where below `most`."""
        levels = self.level_of(pairs)
        shown = self.detail[pairs].max(axis=1)
        share = np.full(len(pairs), np.inf)
        rich, plain = shown >= LEAST_DETAIL, (shown >= LEAST_SHOWN) & (shown < LEAST_DETAIL)
        aligned = {"most": most * levels[rich], "zoomed": self.zoomed}
        share[rich] = unexplained(pictures, others, pairs[rich], **aligned) / levels[rich]
        left, deviation = differ_in_place(pictures, others, pairs[plain])
        noise = np.minimum(deviation / NOISE, left / LEAST_UNRELATED)  # 1: the most a copy may have
        share[plain] = np.maximum(left / levels[plain], noise * self.limit)
        return share


def yardstick_of(
    pictures: np.ndarray, rows: np.ndarray, *, rng: np.random.Generator, of_photos: bool
) -> Yardstick:
    """Measure some of the pictures by each other; the rest has no copies.

    Parameters
    ----------
    pictures : float ndarray of shape (n_items, SIDE * SIDE)
        Grey values.
    rows : int ndarray of shape (n_rows,)
    rng : numpy Generator
        Draws the samples.
    of_photos : bool
        Else they are spectrograms, which have no size and are never plain.
    """
    seen = pictures[rows]
    level = np.full(len(pictures), np.inf)
    drawn = rng.permutation(len(rows))[:BACKGROUND_SAMPLE]
    unrelated = _unrelated_level(seen, drawn)
    rank = BACKGROUND_RANK * max(1.0, len(rows) / BACKGROUND_SAMPLE)
    limit = _chance_limit(COPY_SHARE, rank=rank, exponent=_crowd_exponent(seen, rng=rng))
    limit = max(limit, 1e-3)
    level[rows] = np.maximum(unrelated, LEAST_UNRELATED * COPY_SHARE / limit)
    shown = detail(pictures) if of_photos else np.ones(len(pictures))
    return Yardstick(
        level, limit, zoomed=of_photos and limit >= COPY_SHARE, detail=shown, drawn=rows[drawn]
    )


def _unrelated_level(pictures: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Return the unexplained share between each picture and its nearest unrelated ones.

    Parameters
    ----------
    pictures : float ndarray of shape (n_items, SIDE * SIDE)
        Grey values.
    sample : int ndarray of shape (n_sample,)
        Rows of others.

    Returns
    -------
    float64 ndarray of shape (n_items,)
        One minus the correlation with the third most similar of a sample of others, but for
        those that differ by no more than a copy may anyway; small where many pictures look
        alike, such as scans of the same digit, and 1 where fewer than three others are left.
    """
    n_items = len(pictures)
    unit = np.concatenate([_unit(_halved(part)) for part in batches(pictures)])
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


def _crowd_exponent(pictures: np.ndarray, *, rng: np.random.Generator) -> float:
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


def _chance_limit(most: float, *, rank: float, exponent: float) -> float:
    """Return the share of the distance to the `rank`-th neighbour below which copies are.

    Of `rank` neighbours within that distance, `rank * share ** exponent` lie within the share.
    """
    if exponent <= 0:
        return 0.0
    return float(min(most, (CHANCE_COPIES / rank) ** (1 / exponent)))
