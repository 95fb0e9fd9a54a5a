"""How much of one small grey picture another one explains, once they are aligned.

Copies may be shifted a little, zoomed a little, brighter or mirrored; what is left over after
the best such change tells a copy from a picture that only looks alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SIDE = 32
"""Pixels on a side of the grey pictures compared here."""

MARGIN = 4
"""Pixels left out at each side, so that the compared window can move (of 32: 12 %)."""

REACH = 3
"""Largest shift looked for, in pixels of 32 (9 % of the picture)."""

BATCH = 256
"""Pairs, or pictures, worked on at once: what they need, about 15 MB, leaves the cache in twice
as many, and half as many share too few transforms; both take a tenth more time."""

TRANSFORMED = 8192
"""Pairs whose pictures are transformed once for all of them: 70 MB where no two share one."""

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
_PLACE_DOWN, _PLACE_RIGHT = (
    (place - (_WINDOW + 1) / 2).astype(np.float32).ravel()
    for place in np.indices((_WINDOW + 2, _WINDOW + 2))
)
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
    enough = np.full(len(pairs), np.inf) if most is None else most
    left = left_of_middles(pictures, others, pairs, enough, zoomed)
    may = np.flatnonzero(left < enough)
    back = left_of_middles(others, pictures, pairs[may, ::-1], enough[may], zoomed)
    left[may] = np.maximum(left[may], back)
    return left


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
    return np.concatenate([_shapes(part) for part in batches(pictures)])


def batches(pictures: np.ndarray) -> Iterator[np.ndarray]:
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


def left_of_middles(
    targets: np.ndarray, sources: np.ndarray, pairs: np.ndarray, enough: np.ndarray, zoomed: bool
) -> np.ndarray:
    """Return what the best window of each second can't explain of the middle of each first.

    One direction of `unexplained`; `enough` is its `most`.
    """
    left, corner = np.empty(len(pairs)), np.empty((len(pairs), 2), int)
    for start in range(0, len(pairs), TRANSFORMED):
        stretch = slice(start, start + TRANSFORMED)
        left[stretch], corner[stretch] = _best_shift(targets, sources, pairs[stretch])
    for part in batches(np.flatnonzero(left < enough + FITTED)):
        if len(part):
            held = _middles(targets, pairs[part, 0]), _grey(sources, pairs[part, 1])
            left[part] = _best_fit(*held, corner[part], enough[part], zoomed)
    return left


def _grey(pictures: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return some of the pictures as float32 of mean 0 and shape (n, SIDE, SIDE)."""
    return _centred(pictures[rows].astype(np.float32)).reshape(-1, SIDE, SIDE)


def _middles(pictures: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the middles of some of the pictures, of mean 0, as rows."""
    middles = pictures[rows].reshape(-1, SIDE, SIDE)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    return _centred(middles.astype(np.float32).reshape(len(rows), -1))


def _centred(rows: np.ndarray) -> np.ndarray:
    rows -= rows.mean(axis=1, keepdims=True)
    return rows


def _best_fit(
    middle: np.ndarray, source: np.ndarray, corner: np.ndarray, enough: np.ndarray, zoomed: bool
) -> np.ndarray:
    """Return what each source can't explain of its middle, fitted from where windows begin."""
    energy, middle = _energy(middle), _framed(middle)
    warp = _Warp(corner[:, 0], corner[:, 1], np.zeros(len(corner)))
    around = np.lib.stride_tricks.sliding_window_view(
        source, (_WINDOW + 2, _WINDOW + 2), axis=(1, 2)
    )[np.arange(len(corner)), corner[:, 0] - 1, corner[:, 1] - 1]
    left, step = _fitted(middle, energy, around)
    may = np.arange(len(left))
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


def _energy(middles: np.ndarray) -> np.ndarray:
    return np.maximum(np.einsum("ij,ij->i", middles, middles), 1e-6)


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
    weights = np.zeros((low.size, SIDE + 3), np.float32)  # a pixel before the line, two behind it
    first = low.ravel() + np.arange(low.size) * (SIDE + 3)
    for beside, tap in enumerate(taps):
        weights.ravel()[first + beside] = tap.ravel()
    weights[:, 1] += weights[:, 0]
    weights[:, SIDE] += weights[:, SIDE + 1] + weights[:, SIDE + 2]
    return weights[:, 1 : SIDE + 1].reshape(*low.shape, SIDE)


def _framed(middles: np.ndarray) -> np.ndarray:
    """Return middles with zeros around them, where windows have a pixel more."""
    framed = np.zeros((len(middles), _WINDOW + 2, _WINDOW + 2), np.float32)
    framed[:, 1:-1, 1:-1] = middles.reshape(-1, _WINDOW, _WINDOW)
    return framed.reshape(len(middles), -1)


def _fitted(
    middle: np.ndarray, energy: np.ndarray, around: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of the middle once a window is fitted, and where it would fit better.

    The latter are pixels down and right and the zoom, to first order, of shape (n_pairs, 3).
    """
    # Everything is cut to the same lines, so that each step runs along all windows at once; the
    # pixels around a window count as 0. One product has all sums: the middle and ones are in it.
    n_pairs, line = len(around), _WINDOW + 2
    columns = np.empty((6, n_pairs, line * line), np.float32)
    window, down, right = (column.ravel() for column in columns[:3])
    window[:] = around.ravel()
    half = 0.5 * window
    np.subtract(half[2 * line :], half[: -2 * line], out=down[line:-line])
    np.subtract(half[2:], half[:-2], out=right[1:-1])
    frame = columns[:3].reshape(-1, line, line)
    frame[:, :: line - 1] = 0.0
    frame[:, :, :: line - 1] = 0.0
    np.multiply(columns[1], _PLACE_DOWN, out=columns[3])
    columns[3] += columns[2] * _PLACE_RIGHT
    columns[4], columns[5] = middle, 1.0
    beside = columns.transpose(1, 0, 2)
    sums = (beside @ beside[:, :4].transpose(0, 2, 1)).astype(np.float64)
    product, total = sums[:, 4], sums[:, 5]
    gram = sums[:, :4] - total[:, :, None] * total[:, None] / _WINDOW**2 + 1e-3 * np.eye(4)
    weights = np.linalg.solve(gram, product[..., None])[..., 0]
    left = 1.0 - (weights * product).sum(axis=1) / energy
    fits = weights[:, 0] > 0
    step = weights[:, 1:] / np.where(fits, weights[:, 0], np.inf)[:, None]
    return np.where(fits, np.clip(left, 0.0, 1.0), 1.0), step


def _best_shift(
    targets: np.ndarray, sources: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the best window of each second can't explain as it is, and where it begins."""
    (one, t), (other, s) = (np.unique(rows, return_inverse=True) for rows in pairs.T)
    middles, energy = _joined(_middle_spectra(targets, part) for part in batches(one))
    spectra, spread = _joined(_spectra(sources, part) for part in batches(other))
    left, best = np.empty(len(pairs)), np.empty(len(pairs), int)
    for part in batches(np.arange(len(pairs))):
        product = spectra[s[part]]
        product *= middles[t[part]]
        match = product.reshape(len(part), -1).view(np.float32) @ _BACK
        match /= spread[s[part]]
        best[part] = match.argmax(axis=1)
        highest = np.maximum(match[np.arange(len(part)), best[part]], 0.0).astype(np.float64)
        left[part] = 1.0 - highest**2 / energy[t[part]]
    return left, np.stack(np.divmod(best, 2 * REACH + 1), axis=1) + _SHIFTS.start


def _joined(parts: Iterator[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


# A whole picture's transform holds all shifts: no window within it wraps around. Only the few
# that are looked for are transformed back, which one product does for less than an FFT.
def _middle_spectra(pictures: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the conjugate transforms of the pictures' middles, and their energies."""
    from scipy.fft import rfft2  # here, since web processes import this module

    middles = _middles(pictures, rows)
    spectra = rfft2(middles.reshape(-1, _WINDOW, _WINDOW), (SIDE, SIDE))
    return np.conj(spectra, out=spectra), _energy(middles)


def _spectra(pictures: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures' transforms, and the root of the energy of each of their windows."""
    from scipy.fft import rfft2

    grey = _grey(pictures, rows)
    mean, square = (_box_means(values) for values in (grey, np.square(grey)))
    return rfft2(grey), np.sqrt(np.maximum(square - np.square(mean), 1e-6)) * _WINDOW


def _box_means(pictures: np.ndarray) -> np.ndarray:
    """Return the means of all windows that are looked for, of shape (n, (2 * REACH + 1) ** 2)."""
    across = (pictures.reshape(-1, SIDE) @ _BOXES.T).reshape(len(pictures), SIDE, -1)
    return np.asarray((_BOXES @ across).reshape(len(pictures), -1))


def _boxes() -> np.ndarray:
    """Return what makes the means of all windows of a picture, from both sides of it."""
    boxes = np.zeros((2 * REACH + 1, SIDE), np.float32)
    for shift in range(2 * REACH + 1):
        boxes[shift, _SHIFTS.start + shift :][:_WINDOW] = 1 / _WINDOW
    return boxes


_BOXES = _boxes()


def _back() -> np.ndarray:
    """Return what undoes the real transform, real and imaginary parts, at the shifts looked for."""
    shifts = np.arange(SIDE)[_SHIFTS]
    down = np.exp(2j * np.pi * np.outer(np.arange(SIDE), shifts) / SIDE)
    half = np.arange(SIDE // 2 + 1)  # the other half of the frequencies mirrors this one
    twice = np.where(half % (SIDE // 2) == 0, 1, 2)[:, None]
    right = twice * np.exp(2j * np.pi * np.outer(half, shifts) / SIDE) / SIDE**2
    back = down[:, None, :, None] * right[:, None]
    parts = np.stack([back.real, -back.imag], axis=2)
    return parts.reshape(2 * SIDE * len(half), -1).astype(np.float32)


_BACK = _back()
