"""How much of one small grey picture another one explains, once they are aligned.

Copies may be shifted a little, zoomed a little, brighter or mirrored; what is left over after
the best such change tells a copy from a picture that only looks alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlcore.neighbours import nearest, tail_exponent

SIDE = 32
"""Pixels on a side of the grey pictures compared here."""

MARGIN = 4
"""Pixels left out at each side, so that the compared window can move (of 32: 12 %)."""

REACH = 3
"""Largest shift looked for, in pixels of 32 (9 % of the picture)."""

BATCH = 256
"""Pairs, or pictures, worked on at once: what they need, about 15 MB, leaves the cache in twice
as many, and half as many share too few transforms; both take a sixth more time."""

BACKGROUND_SAMPLE = 1000
"""Other pictures that each one is compared with to learn what unrelated looks like."""

BACKGROUND_RANK = 3
"""Rank of the sampled picture that stands for "unrelated": two copies may be in the sample."""

LEAST_UNRELATED = 0.006
"""Unexplained share that a copy may have anyway: a brighter copy saved as JPEG leaves .006."""

CROWD_CANDIDATES = 12
"""Pictures of the most alike shape that are aligned to learn how residuals crowd."""

FITTED = 0.5
"""Share of the variance that the fit may explain beyond the best whole-pixel shift, at most.

Shifts alone leave .37 of copies planted in photos at most, .7 and more of nine others in ten."""

REFINED = 4
REFINED_UP_TO = 4.0
"""Fits after the first, each where the last one put the window: a first-order fit falls short
where a zoom moves the edges by most of a pixel, as a crop by 3 % at each side does, and each is
trusted for a pixel. Only of pairs that are left with less than four times what matters."""

SETTLED = 1 / 8
"""Pixels by which the last fit moved the window's edges at most where none follows: what a
first-order fit misses grows with the square of the move."""

MOST_ZOOM = 0.15
"""Zoom up to which a fit after the first counts: a crop by 6 % at each side. Drawings of one
shape in several sizes are no copies of each other."""

_TAPER = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
_WINDOW = SIDE - 2 * MARGIN
_SHIFTS = slice(MARGIN - REACH, MARGIN + REACH + 1)


def unexplained(
    pictures: np.ndarray,
    others: np.ndarray,
    pairs: np.ndarray,
    *,
    most: np.ndarray | None = None,
    zoomed: bool = False,
) -> np.ndarray:
    """Return the share of each picture's variance that its partner can't explain.

    The best whole-pixel shift is searched, then brightness, contrast, a shift below one pixel
    and a zoom are fitted to first order by least squares (Lucas and Kanade 1981), where zooms are
    looked for again from there while the pair is promising.

    Parameters
    ----------
    pictures, others : ndarrays of shape (n_pictures, SIDE * SIDE)
        Grey values.
    pairs : int ndarray of shape (n_pairs, 2)
        Rows (i, j): pictures[i] with others[j]. A picture is transformed once for all its pairs
        that are next to each other.
    most : float ndarray of shape (n_pairs,), optional
        What matters no more: a pair that leaves as much in one direction is not looked at in
        the other, nor is one fitted that a shift alone brings nowhere near it.

    zoomed : bool
        Look for zooms up to MOST_ZOOM, which one fit misses. Not among drawings of few shapes,
        where a size is what tells two of them apart.

    Returns
    -------
    float64 ndarray of shape (n_pairs,)
        0 (the same picture) to 1 (nothing in common), the worse of both directions; where a
        pair reaches `most`, only that it does.

    Examples
    --------
    >>> picture = np.random.default_rng(0).normal(size=(1, SIDE * SIDE)).cumsum(axis=1)
    >>> float(unexplained(picture, 0.5 * picture + 3, np.array([[0, 0]])).round(4)[0])
    0.0
    """
    left = np.empty(len(pairs))
    for start in range(0, len(pairs), BATCH):
        part = slice(start, start + BATCH)
        one, ones = _gathered(pictures, pairs[part, 0])
        other, theirs = _gathered(others, pairs[part, 1])
        enough = np.full(len(ones), np.inf) if most is None else most[part]
        told = _one_way(one, ones, other, theirs, enough, zoomed)
        may = np.flatnonzero(told < enough)
        if len(may):
            back = _one_way(other, theirs[may], one, ones[may], enough[may], zoomed)
            told[may] = np.maximum(told[may], back)
        left[part] = told
    return left


def _gathered(pictures: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures of some rows, each once, and where among them each row's is."""
    distinct, places = np.unique(rows, return_inverse=True)
    return np.asarray(pictures[distinct], np.float32).reshape(-1, SIDE, SIDE), places


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
        One minus the correlation with the third most similar of a sample of others, but for
        those that differ by no more than a copy may anyway; small where many pictures look
        alike, such as scans of the same digit, and 1 where fewer than three others are left.
    """
    n_items = len(pictures)
    unit = np.concatenate([_unit(_halved(part)) for part in _batches(pictures)])
    sample = rng.permutation(n_items)[:BACKGROUND_SAMPLE]
    correlation = unit @ unit[sample].T
    correlation[sample, np.arange(len(sample))] = 0.0  # itself
    correlation[correlation > 1.0 - LEAST_UNRELATED] = 0.0  # copies of it, however many
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
    own = np.repeat(np.arange(len(near)), near.shape[1])
    pairs = np.sort(np.stack([own, near.ravel()], axis=1), axis=1)
    pairs, places = np.unique(pairs, axis=0, return_inverse=True)
    left = unexplained(sample, sample, pairs)[places]
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
    return np.concatenate([_shapes(part) for part in _batches(pictures)])


def _batches(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Cut pictures into batches that stay in the cache; one of none where there are none."""
    for start in range(0, max(1, len(pictures)), BATCH):
        yield pictures[start : start + BATCH]


def _shapes(pictures: np.ndarray) -> np.ndarray:
    from scipy.fft import rfft2  # here, since web processes import this module

    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    grey /= np.maximum(grey.std(axis=(1, 2), keepdims=True), 1e-3)
    spectrum = rfft2(grey * (_TAPER[:, None] * _TAPER), axes=(2, 1))[:, :10]
    lowest = np.abs(spectrum[:, :, np.r_[0:10, -9:0]])
    return np.sqrt(lowest).reshape(len(grey), -1).astype(np.float32)


def _halved(pictures: np.ndarray) -> np.ndarray:
    grey = pictures.reshape(-1, SIDE, SIDE).astype(np.float32)
    lines = grey[:, ::2] + grey[:, 1::2]
    return (lines[:, :, ::2] + lines[:, :, 1::2]).reshape(len(grey), -1) / 4


def _unit(rows: np.ndarray) -> np.ndarray:
    centred = np.asarray(rows, np.float32) - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(lengths, 1e-6)
    return unit


def _one_way(
    targets: np.ndarray,
    t: np.ndarray,
    sources: np.ndarray,
    s: np.ndarray,
    enough: np.ndarray,
    zoomed: bool,
) -> np.ndarray:
    """Return what the best window of sources[s] can't explain of the middle of targets[t]."""
    middles = targets[:, MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(len(targets), -1)
    middles = middles - middles.mean(axis=1, keepdims=True)
    energy = np.maximum((middles**2).sum(axis=1), 1e-6)[t]
    down, right, match = _best_shift(middles, t, sources, s)
    left = 1.0 - np.clip(match, 0.0, None).astype(np.float64) ** 2 / energy
    may = np.flatnonzero(left < enough + FITTED)
    if not len(may):
        return left
    middle, energy, source = middles[t[may]], energy[may], sources[s[may]]
    warp = _Warp(down[may], right[may], np.zeros(len(may)))
    around = np.lib.stride_tricks.sliding_window_view(
        source, (_WINDOW + 2, _WINDOW + 2), axis=(1, 2)
    )[np.arange(len(may)), warp.down - 1, warp.right - 1]
    left[may], step = _fitted(middle, energy, around)
    for _ in range(REFINED if zoomed else 0):
        moves = np.abs(step[:, :2]).max(axis=1) + np.abs(step[:, 2]) * _WINDOW / 2 > SETTLED
        near = np.flatnonzero(moves & (left[may] < REFINED_UP_TO * enough[may]))
        if not len(near):
            break
        may, middle, energy, source = may[near], middle[near], energy[near], source[near]
        warp = warp.moved(near, step)
        again, step = _fitted(middle, energy, _window(source, warp))
        zoom = (1.0 + warp.zoom) * (1.0 + step[:, 2]) - 1.0
        left[may] = np.where(np.abs(zoom) > MOST_ZOOM, left[may], np.minimum(left[may], again))
    return left


@dataclass(frozen=True)
class _Warp:
    """Where windows begin in their sources, in pixels, and by how much each is zoomed there."""

    down: np.ndarray
    right: np.ndarray
    zoom: np.ndarray

    def moved(self, chosen: np.ndarray, step: np.ndarray) -> _Warp:
        """Return some of them after a fit said where they lie better; it is trusted for a pixel."""
        shift = np.clip(step[:, :2], -1.0, 1.0)[chosen]
        zoom = np.clip(step[:, 2], -1.0 / _WINDOW, 1.0 / _WINDOW)[chosen]
        scale = 1.0 + self.zoom[chosen]
        return _Warp(
            self.down[chosen] + scale * shift[:, 0],
            self.right[chosen] + scale * shift[:, 1],
            scale * (1.0 + zoom) - 1.0,
        )


def _window(source: np.ndarray, warp: _Warp) -> np.ndarray:
    """Return windows of `source` and one pixel around them, between its pixels by a cubic."""
    rows, columns = _between(warp.down, warp.zoom), _between(warp.right, warp.zoom)
    return np.asarray(rows @ source @ columns.transpose(0, 2, 1))


def _between(start: np.ndarray, zoom: np.ndarray) -> np.ndarray:
    """Return what takes a line of pixels to those of a window (Keys 1981, a = -1/2)."""
    place = np.arange(-1, _WINDOW + 1) - (_WINDOW - 1) / 2
    at = (start + (_WINDOW - 1) / 2)[:, None] + (1.0 + zoom)[:, None] * place
    at = np.clip(at, 0, SIDE - 1).astype(np.float32)
    low = at.astype(int)
    t = at - low
    taps = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    weights = np.zeros((low.size, SIDE), np.float32)
    line = np.arange(low.size)
    for beside, tap in enumerate(taps, -1):
        weights[line, np.clip(low.ravel() + beside, 0, SIDE - 1)] += tap.ravel()
    return weights.reshape(*low.shape, SIDE)


def _fitted(
    middle: np.ndarray, energy: np.ndarray, around: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of the middle once a window is fitted, and where it would fit better.

    The latter are pixels down and right and the zoom, to first order, of shape (n_pairs, 3).
    """
    place = np.arange(_WINDOW, dtype=np.float32) - (_WINDOW - 1) / 2
    parts = np.empty((len(around), 4, _WINDOW, _WINDOW), np.float32)
    parts[:, 0] = around[:, 1:-1, 1:-1]
    parts[:, 1] = (around[:, 2:, 1:-1] - around[:, :-2, 1:-1]) / 2
    parts[:, 2] = (around[:, 1:-1, 2:] - around[:, 1:-1, :-2]) / 2
    parts[:, 3] = parts[:, 1] * place[:, None] + parts[:, 2] * place
    columns = parts.reshape(len(around), 4, -1)
    columns -= columns.mean(axis=2, keepdims=True)
    product = (columns @ middle[..., None])[..., 0].astype(np.float64)
    gram = columns @ columns.transpose(0, 2, 1) + 1e-3 * np.eye(4)
    weights = np.linalg.solve(gram, product[..., None])[..., 0]
    left = 1.0 - (weights * product).sum(axis=1) / energy
    fits = weights[:, 0] > 0
    step = weights[:, 1:] / np.where(fits, weights[:, 0], np.inf)[:, None]
    return np.where(fits, np.clip(left, 0.0, 1.0), 1.0), step


def _best_shift(
    middles: np.ndarray, t: np.ndarray, sources: np.ndarray, s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where in sources[s] the window lies that correlates best with middles[t] of mean 0.

    The third is the middle times that window, of mean 0 and length 1.
    """
    from scipy.fft import rfft2  # here, since web processes import this module

    # A whole picture's transform holds all shifts: no window within it wraps around. Only the
    # few that are looked for are transformed back, which two products do for less than an FFT.
    sources = sources - sources.mean(axis=(1, 2), keepdims=True)
    shifted = rfft2(middles.reshape(-1, _WINDOW, _WINDOW), (SIDE, SIDE)).conj()
    match = (_BACK_DOWN @ ((rfft2(sources)[s] * shifted[t]) @ _BACK_RIGHT)).real
    mean, square = (_BOXES @ values @ _BOXES.T for values in (sources, np.square(sources)))
    spread = np.sqrt(np.maximum(square - np.square(mean), 1e-6)) * _WINDOW
    match = (match / spread[s]).reshape(len(match), -1)
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
