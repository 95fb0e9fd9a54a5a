"""Samples of clips one after the other, and waveforms as pages draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlcore.lines import Line

#: Pairs of least and greatest sample that a preview holds.
PEAK_PAIRS = 400

#: Peaks below this are drawn as they are, not stretched: -100 dBFS, below one 16-bit step.
LEAST_PEAK = 1e-5

#: What stands for zero in a preview: 128, and a half for rounding; 127 stands for the peak.
ZERO = np.float32(128.5)


def full_scales(dtype: np.dtype) -> np.float32:
    """Return how many full scales a sample of 1 is: of 16-bit steps 2**-15, of others 1."""
    return np.float32(1 / 32_768 if dtype.kind == "i" else 1)


def scaled(values: np.ndarray) -> np.ndarray:
    """Return 16-bit steps as float32, of which 1 is full scale; other values as they are."""
    if values.dtype.kind != "i":
        return values
    found = values.astype(np.float32)  # in a third of the time of a product of both types
    found *= full_scales(values.dtype)
    return found


@dataclass(frozen=True)
class Waves:
    """Clips of one number of channels, one after the other.

    `samples` of shape (n_channels, n_samples) are int16 or float32 as read, since a pass over
    numbers of half the size takes half as long; `line` tells where each of the clips lies.
    """

    samples: np.ndarray
    line: Line

    @classmethod
    def of(cls, clips: Sequence[np.ndarray]) -> Waves:
        """Lay clips of one type, of shape (n_frames, n_channels), one after the other."""
        samples = np.ascontiguousarray(np.concatenate(clips).T)
        return cls(samples, Line.of([len(clip) for clip in clips]))

    @cached_property
    def drawn(self) -> Line:
        """Where the stretches of each clip, each drawn as one pair, lie among those of all."""
        return Line.of(np.minimum(PEAK_PAIRS, self.line.lengths))

    @cached_property
    def stretches(self) -> Line:
        """Where each stretch lies among the samples: as many as pairs are drawn, or of one each."""
        inside, longest = np.arange(PEAK_PAIRS), np.maximum(self.line.lengths, PEAK_PAIRS)
        places = self.line.starts[:, None] + inside * longest[:, None] // PEAK_PAIRS
        starts = places[inside < self.drawn.lengths[:, None]]
        return Line(starts, np.diff(starts, append=self.samples.shape[1]))

    @cached_property
    def least(self) -> np.ndarray:
        """The least sample of each stretch, as float32 of shape (n_channels, n_stretches)."""
        return scaled(np.minimum.reduceat(self.samples, self.stretches.starts, axis=1))

    @cached_property
    def greatest(self) -> np.ndarray:
        """The greatest sample of each stretch, as `least`."""
        return scaled(np.maximum.reduceat(self.samples, self.stretches.starts, axis=1))

    @cached_property
    def bottoms(self) -> np.ndarray:
        """The least sample of each clip, as float32 of shape (n_channels, n_clips)."""
        return np.minimum.reduceat(self.least, self.drawn.starts, axis=1)

    @cached_property
    def tops(self) -> np.ndarray:
        """The greatest sample of each clip, as `bottoms`."""
        return np.maximum.reduceat(self.greatest, self.drawn.starts, axis=1)


def peaks(waves: Waves) -> list[bytes]:
    """Return waveforms as pairs of uint8, least and greatest of each stretch.

    Returns
    -------
    list of bytes
        At most `PEAK_PAIRS` pairs each: least, greatest, least, greatest ... Value v stands for
        (v - 128) / 127 of the clip's own peak (fact `peak`), so soft clips stay visible and
        a page can draw either scale; 128 is zero.

    Examples
    --------
    >>> [list(one) for one in peaks(Waves.of([np.array([[0.0], [0.5], [-0.5], [0.25]])]))]
    [[128, 128, 255, 255, 1, 1, 192, 192]]
    """
    low, high = waves.least[0], waves.greatest[0]
    if len(waves.samples) > 1:
        mono = scaled(waves.samples).mean(axis=0)
        low, high = (f.reduceat(mono, waves.stretches.starts) for f in (np.minimum, np.maximum))
    peak = np.maximum(waves.tops.max(axis=0), -waves.bottoms.min(axis=0))
    stretch = np.repeat(127 / np.maximum(peak, np.float32(LEAST_PEAK)), waves.drawn.lengths)
    pairs = np.empty((len(low), 2), np.uint8)
    pairs[:, 0], pairs[:, 1] = low * stretch + ZERO, high * stretch + ZERO
    return [pairs[one].tobytes() for one in waves.drawn.slices]
