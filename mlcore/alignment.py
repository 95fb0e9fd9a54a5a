"""How much of one small grey picture another one explains, once they are aligned.

Copies may be shifted a little, zoomed a little, brighter or mirrored; what is left over after
the best such change tells a copy from a picture that only looks alike.
"""

from __future__ import annotations

import numpy as np

from mlcore.neighbours import nearest, tail_exponent

SIDE = 32
"""Pixels on a side of the grey pictures compared here."""

MARGIN = 4
"""Pixels left out at each side, so that the compared window can move (of 32: 12 %)."""

REACH = 3
"""Largest shift looked for, in pixels of 32 (9 % of the picture)."""

BATCH = 512
"""Pairs compared at once; bounds memory to about 30 MB."""

BACKGROUND_SAMPLE = 1000
"""Other pictures that each one is compared with to learn what unrelated looks like."""

BACKGROUND_RANK = 3
"""Rank of the sampled picture that stands for "unrelated": two copies may be in the sample."""

CROWD_CANDIDATES = 12
"""Pictures of the most alike shape that are aligned to learn how residuals crowd."""

FITTED = 0.5
"""Share of the variance that the fit may explain beyond the best whole-pixel shift, at most.

Shifts alone leave .37 of copies planted in photos at most, .7 and more of nine others in ten."""

_WINDOW = SIDE - 2 * MARGIN
_SHIFTS = slice(MARGIN - REACH, MARGIN + REACH + 1)


def unexplained(
    first: np.ndarray, second: np.ndarray, *, most: np.ndarray | None = None
) -> np.ndarray:
    """Return the share of each picture's variance that its partner can't explain.

    The best whole-pixel shift is searched, then brightness, contrast, a shift below one pixel
    and a zoom are fitted to first order (Lucas and Kanade 1981) by least squares.

    Parameters
    ----------
    first, second : float ndarrays of shape (n_pairs, SIDE * SIDE)
        Grey values; pair i is first[i] with second[i].
    most : float ndarray of shape (n_pairs,), optional
        What matters no more: a pair that leaves as much in one direction is not looked at in
        the other, nor is one fitted that a shift alone brings nowhere near it.

    Returns
    -------
    float64 ndarray of shape (n_pairs,)
        0 (the same picture) to 1 (nothing in common), the worse of both directions; where a
        pair reaches `most`, only that it does.

    Examples
    --------
    >>> picture = np.random.default_rng(0).normal(size=(1, SIDE * SIDE)).cumsum(axis=1)
    >>> float(unexplained(picture, 0.5 * picture + 3).round(4)[0])
    0.0
    """
    left = np.empty(len(first))
    for start in range(0, len(first), BATCH):
        part = slice(start, start + BATCH)
        one = np.asarray(first[part], np.float32).reshape(-1, SIDE, SIDE)
        other = np.asarray(second[part], np.float32).reshape(-1, SIDE, SIDE)
        enough = np.full(len(one), np.inf) if most is None else most[part]
        told = _one_way(one, other, enough)
        may = np.flatnonzero(told < enough)
        if len(may):
            told[may] = np.maximum(told[may], _one_way(other[may], one[may], enough[may]))
        left[part] = told
    return left


def mirrored(pictures: np.ndarray) -> np.ndarray:
    """Return grey pictures of shape (n, SIDE * SIDE) with left and right swapped."""
    return pictures.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(pictures.shape)


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
        One minus the correlation with the third most similar of a sample of others; small
        where many pictures look alike, such as scans of the same digit.
    """
    n_items = len(pictures)
    halved = pictures.reshape(n_items, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    unit = _unit(halved.reshape(n_items, -1))
    sample = rng.permutation(n_items)[:BACKGROUND_SAMPLE]
    correlation = unit @ unit[sample].T
    correlation[sample, np.arange(len(sample))] = -1.0
    rank = min(BACKGROUND_RANK, len(sample))
    correlation.partition(-rank, axis=1)
    return np.asarray(1.0 - correlation[:, -rank], np.float64)


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
    near = nearest(shapes(sample), k=CROWD_CANDIDATES).indices
    left = unexplained(np.repeat(sample, near.shape[1], axis=0), sample[near.ravel()])
    return tail_exponent(np.sort(left.reshape(near.shape), axis=1))


def shapes(pictures: np.ndarray) -> np.ndarray:
    """Return a description of each picture that a small shift leaves nearly the same.

    Parameters
    ----------
    pictures : float ndarray of shape (n_items, SIDE * SIDE)
        Grey values.

    Returns
    -------
    float32 ndarray of shape (n_items, 190)
        Square roots of the lowest Fourier magnitudes of the windowed picture.
    """
    from scipy.fft import rfft2  # here, since web processes import this module

    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    grey = grey - grey.mean(axis=(1, 2), keepdims=True)
    grey /= np.maximum(grey.std(axis=(1, 2), keepdims=True), 1e-3)
    taper = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
    magnitude = np.abs(rfft2(grey * taper[:, None] * taper, axes=(2, 1)))
    lowest = magnitude[:, :10][:, :, np.r_[0:10, -9:0]]
    return np.sqrt(lowest).reshape(len(grey), -1).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    centred = np.asarray(rows, np.float32) - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(lengths, 1e-6)
    return unit


def _one_way(target: np.ndarray, source: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """Return what the best window of `source` can't explain of the middle of `target`."""
    middle = target[:, MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(len(target), -1)
    middle = middle - middle.mean(axis=1, keepdims=True)
    energy = np.maximum((middle**2).sum(axis=1), 1e-6)
    down, right, match = _best_shift(middle, source)
    left = 1.0 - np.clip(match, 0.0, None).astype(np.float64) ** 2 / energy
    may = np.flatnonzero(left < enough + FITTED)
    if len(may):
        left[may] = _fitted(middle[may], energy[may], source[may], down[may], right[may])
    return left


def _fitted(
    middle: np.ndarray, energy: np.ndarray, source: np.ndarray, down: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Return what is left of the middle once the window at a place in `source` is fitted."""
    pair = np.arange(len(source))
    around = np.lib.stride_tricks.sliding_window_view(
        source, (_WINDOW + 2, _WINDOW + 2), axis=(1, 2)
    )[pair, down - 1, right - 1]
    place = np.arange(_WINDOW, dtype=np.float32) - (_WINDOW - 1) / 2
    parts = np.empty((len(source), 4, _WINDOW, _WINDOW), np.float32)
    parts[:, 0] = around[:, 1:-1, 1:-1]
    parts[:, 1] = (around[:, 2:, 1:-1] - around[:, :-2, 1:-1]) / 2
    parts[:, 2] = (around[:, 1:-1, 2:] - around[:, 1:-1, :-2]) / 2
    parts[:, 3] = parts[:, 1] * place[:, None] + parts[:, 2] * place
    columns = parts.reshape(len(source), 4, -1)
    columns -= columns.mean(axis=2, keepdims=True)
    product = (columns @ middle[..., None])[..., 0].astype(np.float64)
    gram = columns @ columns.transpose(0, 2, 1) + 1e-3 * np.eye(4)
    weights = np.linalg.solve(gram, product[..., None])[..., 0]
    left = 1.0 - (weights * product).sum(axis=1) / energy
    return np.where(weights[:, 0] > 0, np.clip(left, 0.0, 1.0), 1.0)


def _best_shift(
    middle: np.ndarray, source: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where in `source` the window lies that correlates best with `middle` of mean 0.

    The third is `middle` times that window, of mean 0 and length 1.
    """
    from scipy.fft import rfft2  # here, since web processes import this module

    # A whole picture's transform holds all shifts: no window within it wraps around. Only the
    # few that are looked for are transformed back, which two products do for less than an FFT.
    source = source - source.mean(axis=(1, 2), keepdims=True)
    spectra = rfft2(source) * rfft2(middle.reshape(-1, _WINDOW, _WINDOW), (SIDE, SIDE)).conj()
    match = (_BACK_DOWN @ (spectra @ _BACK_RIGHT)).real
    mean, square = (_BOXES @ values @ _BOXES.T for values in (source, np.square(source)))
    spread = np.sqrt(np.maximum(square - np.square(mean), 1e-6)) * _WINDOW
    match = (match / spread).reshape(len(middle), -1)
    best = match.argmax(axis=1)
    down, right = np.divmod(best, 2 * REACH + 1)
    return down + _SHIFTS.start, right + _SHIFTS.start, match[np.arange(len(best)), best]


def _boxes() -> np.ndarray:
    """Return what makes the means of all windows of a picture, from both sides of it."""
    boxes = np.zeros((2 * REACH + 1, SIDE), np.float32)
    for shift in range(2 * REACH + 1):
        boxes[shift, _SHIFTS.start + shift :][:_WINDOW] = 1 / _WINDOW
    return boxes


_BOXES = _boxes()


def _back() -> tuple[np.ndarray, np.ndarray]:
    """Return what undoes the real transform at the shifts looked for, from both sides of it."""
    shifts = np.arange(SIDE)[_SHIFTS]
    down = np.exp(2j * np.pi * np.outer(shifts, np.arange(SIDE)) / SIDE)
    half = np.arange(SIDE // 2 + 1)  # the other half of the frequencies mirrors this one
    twice = np.where(half % (SIDE // 2) == 0, 1, 2)[:, None]
    right = twice * np.exp(2j * np.pi * np.outer(half, shifts) / SIDE) / SIDE**2
    return down.astype(np.complex64), right.astype(np.complex64)


_BACK_DOWN, _BACK_RIGHT = _back()
