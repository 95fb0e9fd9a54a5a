"""Picture features that need no weight file: HOG, colour and fixed colour patches.

Nothing here is fitted to the items that come: the patch dictionary is made from two photos
that ship with scikit-learn and a fixed seed, so vectors of old and new items always mix.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mlcore.features.pixels import decode_square

SIDE = 64
"""Side in pixels that pictures are squeezed to: 8 x 8 HOG cells."""
CELL = 8
"""Side of one HOG cell in pixels (Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177)."""
ORIENTATIONS = 9
BLOCK_CLIP = 0.2
"""Limit of one normalised HOG value (L2-Hys, same source)."""
PATCH = 6
"""Side of one colour patch in pixels (Coates, Lee and Ng 2011, AISTATS: 6)."""
PATCH_STEP = 2
ATOMS = 200
LLOYD_ROUNDS = 10
DICTIONARY_SEED = 20261121
DICTIONARY_SAMPLE = 20_000
"""Patches that the dictionary is made from, of the 300,000 in the photos."""
CONTRAST_FLOOR = 10.0
WHITENING_FLOOR = 0.1
"""Both as in Coates, Lee and Ng 2011, for pixels from 0 to 255."""
POOL = 3
"""Patch answers and colours are pooled over POOL x POOL regions of the picture."""
COLOUR_BINS = 4

HOG_DIMENSIONS = (SIDE // CELL - 1) ** 2 * 4 * ORIENTATIONS
COLOUR_DIMENSIONS = COLOUR_BINS**3 + POOL * POOL * 6
DIMENSIONS = HOG_DIMENSIONS + COLOUR_DIMENSIONS + POOL * POOL * ATOMS


def describe_picture(content: bytes) -> np.ndarray:
    """Describe one picture by its edges, colours and patches.

    Parameters
    ----------
    content : bytes
        The original file.

    Returns
    -------
    float32 ndarray of shape (DIMENSIONS,)
        HOG, colour and pooled patch answers, in this order; square roots of counts, so that
        Euclidean distance suits them (Arandjelovic and Zisserman 2012).
    """
    pixels = decode_square(content, SIDE, framing="whole").astype(np.float32)
    parts = (oriented_gradients(pixels), colour_layout(pixels), patch_answers(pixels))
    return np.concatenate(parts).astype(np.float32)


def oriented_gradients(pixels: np.ndarray) -> np.ndarray:
    """Return the histogram of oriented gradients of one picture.

    Parameters
    ----------
    pixels : float ndarray of shape (side, side, 3)
        0 to 255.

    Returns
    -------
    float ndarray of shape ((side // CELL - 1) ** 2 * 4 * ORIENTATIONS,)
        Each block of 2 x 2 cells has length at most 1.

    Examples
    --------
    >>> float(oriented_gradients(np.zeros((64, 64, 3))).max())
    0.0
    """
    down, right = np.gradient(pixels, axis=(0, 1))
    strength = np.hypot(down, right)
    strongest = strength.argmax(axis=2)[..., None]
    size = np.take_along_axis(strength, strongest, axis=2)[..., 0]
    angle = np.arctan2(
        np.take_along_axis(down, strongest, axis=2), np.take_along_axis(right, strongest, axis=2)
    )[..., 0]
    position = (angle % np.pi) / np.pi * ORIENTATIONS
    lower = np.floor(position).astype(int)
    upper_share = position - lower
    cells = _votes(lower % ORIENTATIONS, size * (1 - upper_share))
    cells += _votes((lower + 1) % ORIENTATIONS, size * upper_share)
    return _normalised_blocks(cells).ravel()


def _votes(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum weights per cell and orientation; shape (cells, cells, ORIENTATIONS)."""
    across = bins.shape[0] // CELL
    row, column = np.indices(bins.shape) // CELL
    flat = (row * across + column) * ORIENTATIONS + bins
    sums = np.bincount(flat.ravel(), weights.ravel(), minlength=across * across * ORIENTATIONS)
    return sums.reshape(across, across, ORIENTATIONS)


def _normalised_blocks(cells: np.ndarray) -> np.ndarray:
    blocks = np.concatenate(
        [cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], axis=2
    )
    floor = 1.0  # grey values: a block of less than one step of contrast stays near zero
    blocks = blocks / (np.linalg.norm(blocks, axis=2, keepdims=True) + floor)
    blocks = np.minimum(blocks, BLOCK_CLIP)
    return blocks / (np.linalg.norm(blocks, axis=2, keepdims=True) + 1e-6)


def colour_layout(pixels: np.ndarray) -> np.ndarray:
    """Return square roots of a joint RGB histogram, then mean and spread per region.

    Parameters
    ----------
    pixels : float ndarray of shape (side, side, 3)
        0 to 255.

    Returns
    -------
    float ndarray of shape (COLOUR_DIMENSIONS,)
        All values from 0 to 1.
    """
    bins = (pixels // (256 // COLOUR_BINS)).astype(int)
    joint = (bins[..., 0] * COLOUR_BINS + bins[..., 1]) * COLOUR_BINS + bins[..., 2]
    histogram = np.bincount(joint.ravel(), minlength=COLOUR_BINS**3) / joint.size
    layout = [
        np.concatenate([region.mean(axis=(0, 1)), region.std(axis=(0, 1))]) / 255.0
        for rows in np.array_split(pixels, POOL, axis=0)
        for region in np.array_split(rows, POOL, axis=1)
    ]
    return np.concatenate([np.sqrt(histogram), *layout])


def patch_answers(pixels: np.ndarray) -> np.ndarray:
    """Return how strongly each fixed patch answers in each region.

    Parameters
    ----------
    pixels : float ndarray of shape (side, side, 3)
        0 to 255.

    Returns
    -------
    float ndarray of shape (POOL * POOL * ATOMS,)
        Square roots of mean "triangle" answers (Coates, Lee and Ng 2011).
    """
    whitening, centre, atoms = patch_dictionary()
    patches = _patches_of(pixels, step=PATCH_STEP)
    across = int(np.sqrt(len(patches)))
    white = (_equal_contrast(patches) - centre) @ whitening
    squares = (white**2).sum(axis=1)[:, None] - 2 * white @ atoms.T + (atoms**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squares, 0))
    triangle = np.maximum(distance.mean(axis=1, keepdims=True) - distance, 0)
    plane = triangle.reshape(across, across, ATOMS)
    pooled = [
        region.mean(axis=(0, 1))
        for rows in np.array_split(plane, POOL, axis=0)
        for region in np.array_split(rows, POOL, axis=1)
    ]
    return np.sqrt(np.concatenate(pooled))


def _patches_of(pixels: np.ndarray, *, step: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), axis=(0, 1))
    kept = windows[::step, ::step]
    return kept.reshape(-1, PATCH * PATCH * 3)


def _equal_contrast(patches: np.ndarray) -> np.ndarray:
    centred = patches - patches.mean(axis=1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=1, keepdims=True) + CONTRAST_FLOOR)


@lru_cache(maxsize=1)
def patch_dictionary() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whitening matrix, mean patch and atoms, made from a fixed seed once a process.

    Returns
    -------
    tuple of float32 ndarray
        Shapes (108, 108), (108,) and (ATOMS, 108).
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(DICTIONARY_SEED)
    photos = [
        np.asarray(Image.fromarray(photo).reduce(scale), dtype=np.float32)
        for photo in load_sample_images().images
        for scale in (2, 4)
    ]
    patches = np.concatenate([_patches_of(photo, step=1) for photo in photos])
    patches = patches[rng.choice(len(patches), DICTIONARY_SAMPLE, replace=False)]
    equal = _equal_contrast(patches).astype(np.float64)
    centre = equal.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(equal - centre, rowvar=False))
    whitening = (vectors / np.sqrt(np.maximum(values, 0) + WHITENING_FLOOR)) @ vectors.T
    atoms = _centres((equal - centre) @ whitening, rng=rng)
    return whitening.astype(np.float32), centre.astype(np.float32), atoms.astype(np.float32)


def _centres(points: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Group points round ATOMS centres by a few rounds of Lloyd's k-means."""
    centres = points[rng.choice(len(points), ATOMS, replace=False)]
    for _ in range(LLOYD_ROUNDS):
        squares = (centres**2).sum(axis=1) - 2 * points @ centres.T
        nearest = squares.argmin(axis=1)
        counts = np.bincount(nearest, minlength=ATOMS)
        belongs = (nearest[:, None] == np.arange(ATOMS)).astype(points.dtype)
        sums = belongs.T @ points
        full = counts > 0
        centres[full] = sums[full] / counts[full, None]
    return centres
