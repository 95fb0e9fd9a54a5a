"""Frames of clips: their means, powers and spectra, of one look at the samples.

A few frames are taken through all steps at once, so that they stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from mlcore.decibels import FLOOR_DB
from mlcore.lines import Line
from mlcore.waveforms import Waves, full_scales, scaled

#: Samples that are worked on at once: a quarter of a MB of float32.
SAMPLES_AT_ONCE = 2**16

#: Frames of a clip of which spectra are taken at most, evenly chosen: 10 s of sound.
MOST_SPECTRA = 500


@dataclass(frozen=True)
class Look:
    """What the frames of one channel measure, full scale 1; spectra are of the thinned ones.

    `means` and `powers` (about the mean) of shape (n_frames,), `spectra` (n_thinned, n_bins): the
    power of each bin but the first, and of the least that is followed.
    """

    means: np.ndarray
    powers: np.ndarray
    spectra: np.ndarray


@dataclass(frozen=True)
class Frames:
    """Successive frames of each clip, of one channel: `steps` of shape (n_frames, size) as read."""

    steps: np.ndarray
    line: Line

    @classmethod
    def of_channels(cls, waves: Waves, size: int) -> list[Frames]:
        """Cut clips into whole frames of so many samples; what is left at their ends is not in."""
        line, samples = Line.of(waves.line.lengths // size), waves.samples
        ends = waves.line.starts + size * line.lengths
        if np.any(ends < waves.line.ends):
            places = map(slice, waves.line.starts.tolist(), ends.tolist())
            samples = np.concatenate([samples[:, one] for one in places], axis=1)
        return [cls(channel.reshape(-1, size), line) for channel in samples]

    @cached_property
    def thinned(self) -> tuple[slice | np.ndarray, Line]:
        """Which frames spectra are taken of, and where each clip lies among these."""
        if self.line.lengths.max() <= MOST_SPECTRA:
            return slice(None), self.line
        each = zip(self.line.starts, self.line.lengths.tolist(), strict=True)
        places = [start + evenly_chosen(length, MOST_SPECTRA) for start, length in each]
        return np.concatenate(places), Line.of([len(one) for one in places])

    def samples(self, places: slice | np.ndarray) -> np.ndarray:
        """Return some frames as float32, full scale 1, each about its own mean."""
        return centred(scaled(self.steps[places]))

    def look(self) -> Look:
        """Measure the frames."""
        (n, size), (rows, thinned) = self.steps.shape, self.thinned
        unit = full_scales(self.steps.dtype)
        has_spectrum = np.zeros(n, bool)
        has_spectrum[rows] = True
        means, powers = np.empty((2, n), np.float32)
        spectra, done = np.empty((thinned.lengths.sum(), size // 2 + 1), np.float32), 0
        ones, window = np.ones(size, np.float32), _windows(size) * unit
        for some in _blocks(n, size):
            frames = self.steps[some].astype(np.float32)
            means[some] = np.vecdot(frames, ones) / np.float32(size)
            frames -= means[some, None]
            powers[some] = np.vecdot(frames, frames) / np.float32(size)
            if thinned is not self.line:
                frames = frames[has_spectrum[some]]
            done += len(frames)
            frames *= window[: len(frames)]
            _power_spectra(frames, spectra[done - len(frames) : done])
        return Look(means * unit, powers * unit**2, spectra[:, 1:])


def centred(frames: np.ndarray) -> np.ndarray:
    """Return frames of shape (..., n_samples), each about its own mean.

    Taking each frame's mean off leaves offsets and slow drifts out, which nobody hears.
    """
    return frames - np.einsum("...s->...", frames)[..., None] / np.float32(frames.shape[-1])


@lru_cache(maxsize=256)
def evenly_chosen(n: int, most: int) -> np.ndarray:
    """Return places of at most so many of n, evenly chosen."""
    return np.linspace(0, n - 1, min(n, most)).astype(int)


def _blocks(frames: int, size: int) -> Iterator[slice]:
    """Return all frames, a few at a time."""
    step = _frames_at_once(size)
    return (slice(start, min(frames, start + step)) for start in range(0, frames, step))


def _frames_at_once(size: int) -> int:
    return max(1, SAMPLES_AT_ONCE // size)


@lru_cache(maxsize=8)
def _windows(size: int) -> np.ndarray:
    """Return a window for each of the frames of a block: to repeat one takes twice as long."""
    return np.tile((np.hanning(size) / size).astype(np.float32), (_frames_at_once(size), 1))


def _power_spectra(frames: np.ndarray, spectra: np.ndarray) -> None:
    """Write the power of each bin of windowed frames into `spectra`."""
    # In single precision, unlike numpy's; here, since the web process imports this module.
    from scipy.fft import rfft

    np.abs(rfft(frames), out=spectra)
    np.square(spectra, out=spectra)
    spectra += np.float32(10 ** (FLOOR_DB / 10) / frames.shape[1])
