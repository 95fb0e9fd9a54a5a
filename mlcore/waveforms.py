"""Waveforms as pages draw them: pairs of least and greatest sample."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mlcore.lines import Line

#: Pairs of least and greatest sample that a preview holds.
PEAK_PAIRS = 400

#: Peaks below this are drawn as they are, not stretched: -100 dBFS, below one 16-bit step.
LEAST_PEAK = 1e-5

#: What stands for zero in a preview: 128, and a half for rounding; 127 stands for the peak.
ZERO = np.float32(128.5)


def scaled(values: np.ndarray) -> np.ndarray:
    """Return 16-bit steps as float32, of which 1 is full scale; other values as they are."""
    return values * np.float32(1 / 32_768) if values.dtype.kind == "i" else values


def peaks(clips: Sequence[np.ndarray]) -> list[bytes]:
    """Return waveforms as pairs of uint8, least and greatest of each stretch.

    Parameters
    ----------
    clips : sequence of float32 or int16 ndarray of shape (n_frames, n_channels)
        All of one type and number of channels.

    Returns
    -------
    list of bytes
        At most `PEAK_PAIRS` pairs each: least, greatest, least, greatest ... Value v stands for
        (v - 128) / 127 of the clip's own peak (fact `peak`), so soft clips stay visible and
        a page can draw either scale; 128 is zero.

    Examples
    --------
    >>> [list(one) for one in peaks(np.array([[[0.0], [0.5], [-0.5], [0.25]]]))]
    [[128, 128, 255, 255, 1, 1, 192, 192]]
    """
    values = np.concatenate(clips)
    mono = scaled(values).mean(axis=1) if values.shape[1] > 1 else values[:, 0]
    line = Line.of([len(clip) for clip in clips])
    drawn = Line.of(np.minimum(PEAK_PAIRS, line.lengths))
    starts = [start + _stretches(n) for start, n in zip(line.starts, line.lengths.tolist())]
    places = np.concatenate(starts)
    low = scaled(np.minimum.reduceat(mono, places))
    high = scaled(np.maximum.reduceat(mono, places))
    # Not the greatest of np.abs: in 16 bits -32,768 has no positive counterpart.
    top = scaled(np.maximum.reduceat(values, line.starts).max(axis=1))
    bottom = scaled(np.minimum.reduceat(values, line.starts).min(axis=1))
    peak = np.maximum(top, -bottom)
    stretch = (127 / np.maximum(peak, np.float32(LEAST_PEAK)))[drawn.owner]
    pairs = np.empty((len(drawn.owner), 2), np.uint8)
    pairs[:, 0], pairs[:, 1] = low * stretch + ZERO, high * stretch + ZERO
    return [pairs[one].tobytes() for one in drawn.slices]


@lru_cache(maxsize=8)
def _stretches(samples: int) -> np.ndarray:
    """Return where the stretches of a clip start, each drawn as one pair."""
    pairs = min(PEAK_PAIRS, samples)
    return np.arange(pairs) * samples // pairs
