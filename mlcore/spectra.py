"""Spectra of many clips at once: how flat, how wide, how they change, how alike to noise."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import log

import numpy as np

from mlcore.decibels import decibels
from mlcore.lines import Line
from mlcore.sound_frames import MOST_SPECTRA, Frames, centred, evenly_chosen
from mlcore.waveforms import scaled

#: Samples of the shortest frame that has a spectrum.
LEAST_SAMPLES = 16

#: Edges of the bands whose change over time is measured, in Hz (about an octave each).
BAND_EDGES = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)

#: Frames within this many dB of the loudest are loud: where the word is, if there is one.
LOUD_RANGE_DB = 12.0

#: A loud frame beside one that is not is loud only if each of so many parts of it is.
FRAME_PARTS = 4

#: Clips this far above their quietest frames, in dB, have pauses; no noise need be looked for.
PAUSE_DB = 12.0
QUIETEST_SHARE = 0.05

#: Quantile over time of each bin that tells the noise under it (minimum statistics, Martin 2001,
#: doi:10.1109/89.928915): even in speech without a pause, each bin is free of it for a third of
#: the time. The lowest 15 of 50 frames tell a bin's noise to 1/sqrt(15), the lowest 5 to 1/sqrt(5).
NOISE_SHARE = 0.3

#: Of clips less than this above their noise, in dB, it is asked how much of them is a voice; and of
#: those whose loud part moves hardly more than this many times as much as noise. Neither if its
#: bins jump less than this many times as much as those of noise: a steady tone is no noise anyway.
VOICE_ASKED_DB = 6.0
VOICE_ASKED_SWAY = 1.5
VOICE_ASKED_ROUGHNESS = 0.6

#: Pitches that are looked for, in Hz; two periods of the lowest fill the 40 ms of two frames.
PITCH_HERTZ = (70, 400)

#: Loud stretches of two frames that are asked for a pitch at most, evenly chosen. A word has
#: hardly more; noise that fills a second has three times as many, and none has a pitch.
MOST_PITCHES = 16

#: Clips that are asked for a pitch together, so that their arrays stay small.
ASKED_TOGETHER = 32

#: Share of the power that lies below the fact `bandwidth_hz`.
BANDWIDTH_SHARE = 0.99

SPECTRAL_FACTS = (
    "spectral_flatness", "bandwidth_hz", "spectral_change_db", "sway", "loud_sway",
    "loud_evenness", "loud_roughness", "loud_seconds", "above_noise_db", "median_above_noise_db",
    "harmonicity",
)  # fmt: skip


def spectral_facts(
    frames: Frames, spectra: np.ndarray, levels: np.ndarray, rate: int
) -> dict[str, np.ndarray]:
    """Measure the spectra of clips.

    Parameters
    ----------
    frames : Frames
        Of n_clips.
    spectra : float32 ndarray of shape (n_thinned, n_bins)
        As `Look.spectra`.
    levels : float ndarray of shape (n_frames,)
        dBFS.
    rate : int
        Samples a second.

    Returns
    -------
    dict
        An array of n_clips for each of `SPECTRAL_FACTS`, which `levels.level_facts` explains.
    """
    size, line, n_clips = frames.steps.shape[1], frames.line, len(frames.line.lengths)
    if size < LEAST_SAMPLES:
        return dict.fromkeys(SPECTRAL_FACTS, np.zeros(n_clips))
    rows, thinned = frames.thinned
    levels = levels[rows]
    shape = _shape(spectra, thinned, rate / size)
    loud = _loud(Frames(frames.steps[rows], thinned), levels)
    changes = _changes(spectra, loud, thinned, rate / size)
    above = _above_noise(spectra, levels, thinned)
    loud_sway, roughness = changes[2], changes[4]
    asked = (above[0] < VOICE_ASKED_DB) | (loud_sway < VOICE_ASKED_SWAY)
    asked &= roughness > VOICE_ASKED_ROUGHNESS
    harmonicity = np.zeros(n_clips)
    harmonicity[asked] = _harmonicities(
        [frames.samples(line.slices[clip])[:MOST_SPECTRA] for clip in asked.nonzero()[0]], rate
    )
    found = (*shape, *changes, *above, harmonicity)
    return dict(zip(SPECTRAL_FACTS, found, strict=True))


def _shape(spectra: np.ndarray, line: Line, bin_hertz: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how flat the mean spectrum of each clip is, and how wide in Hz."""
    mean = (line.sums(spectra) / line.lengths[:, None]).astype(np.float64)
    cumulated = np.add.accumulate(mean, axis=1)
    total, bins = cumulated[:, -1], mean.shape[1]
    below = np.add.reduce(cumulated < BANDWIDTH_SHARE * total[:, None], axis=1)
    flatness = np.exp(np.add.reduce(np.log(mean), axis=1) / bins) / (total / bins)
    return flatness, np.minimum(below + 1, bins) * bin_hertz


def _loud(frames: Frames, levels: np.ndarray) -> np.ndarray:
    """Say which frames are loud all through; the loudest of a clip is one anyway.

    A frame in which a sound begins or ends is left out: the window weighs its loud part as it
    happens to lie, so that steady noise which begins inside a frame would seem to move.
    """
    line = frames.line
    loudest = np.maximum.reduceat(levels, line.starts)[line.owner]
    loud = levels >= loudest - LOUD_RANGE_DB
    both = np.zeros(len(loud), bool)
    both[1:-1] = loud[:-2] & loud[2:]
    both[line.starts] = both[line.ends - 1] = False
    edges = (loud & ~both).nonzero()[0]
    size = frames.steps.shape[1] // FRAME_PARTS
    parts = centred(scaled(frames.steps[edges, : FRAME_PARTS * size]).reshape(-1, size))
    powers = np.einsum("ps,ps->p", parts, parts).reshape(-1, FRAME_PARTS) / size
    least = decibels(np.minimum.reduce(powers.T.copy()))
    loud[edges] = (least >= loudest[edges] - LOUD_RANGE_DB) | (levels[edges] >= loudest[edges])
    return loud


def _changes(
    spectra: np.ndarray, loud: np.ndarray, line: Line, bin_hertz: float
) -> tuple[np.ndarray, ...]:
    """Return how octave bands change over time: their shape in dB, and relative to noise.

    Parameters
    ----------
    spectra : float ndarray of shape (n_frames, n_bins)
        Power; bin k lies at (k + 1) * bin_hertz.
    loud : bool ndarray of shape (n_frames,)
    line : Line
        Where each of the n_clips lies.
    bin_hertz : float

    Returns
    -------
    tuple of six ndarrays of shape (n_clips,)
        spectral_change_db, sway, loud_sway, loud_evenness, loud_roughness, loud_seconds.
    """
    starts, belongs, of_noise = _bands(spectra.shape[1], bin_hertz)
    # For each clip, as the last digits of a matrix product depend on how many rows it has.
    power = np.concatenate([spectra[places] @ belongs for places in line.slices])
    decibel = 10 / log(10) * np.log(power).T.astype(np.float64, order="C")  # faster than log10
    bands, of_loud = decibel[1:], line.kept(loud)
    changes = (
        _deviation(bands - decibel[0], line),
        _deviation(bands, line) / of_noise,
        _deviation(bands[:, loud], of_loud) / of_noise,
    )
    return (
        *(np.add.reduce(change) / len(bands) for change in changes),
        *_fine_structure(spectra[loud], of_loud, starts),
        of_loud.lengths / bin_hertz,
    )


def _deviation(bands: np.ndarray, line: Line) -> np.ndarray:
    """Return the standard deviation over the frames of each clip of bands, in double precision."""
    means, squares = (
        np.add.reduceat(values, line.starts, axis=1) / line.lengths
        for values in (bands, np.square(bands))
    )
    return np.sqrt(np.maximum(squares - np.square(means), 0))


def _fine_structure(
    spectra: np.ndarray, line: Line, bands: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return how flat the mean loud spectrum is within octaves, and how bins jump.

    The step from frame to frame of the logarithm of a bin of Gaussian noise is logistic, with
    a mean of 2 ln 2 where frames do not overlap; roughness is relative to that.
    """
    mean = line.sums(spectra) / line.lengths[:, None].astype(np.float32)
    bins = np.diff([*bands, mean.shape[1]])
    flatness = np.exp(np.add.reduceat(np.log(mean), bands, axis=1) / bins) * bins
    sums = np.add.reduceat(mean, bands, axis=1)
    logs = np.log(spectra)
    steps = np.empty_like(logs)
    np.subtract(logs[1:], logs[:-1], out=steps[1:])
    steps[line.starts] = 0
    np.abs(steps, out=steps)
    weights = mean / np.add.reduce(mean, axis=1, keepdims=True)
    jumps = line.sums(np.einsum("fb,fb->f", steps, weights[line.owner]))
    roughness = jumps / np.maximum(1, line.lengths - 1) / (2 * log(2))
    return np.add.reduce(flatness, axis=1) / np.add.reduce(sums, axis=1), roughness


def _above_noise(
    spectra: np.ndarray, levels: np.ndarray, line: Line
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far sound and noise together lie above the noise, in all and in the middle bin.

    Clips with pauses are not looked at closer: both figures are that of their levels.
    """
    quiet = line.starts + (QUIETEST_SHARE * (line.lengths - 1)).astype(int)
    mean = 10 * np.log10(line.sums(10 ** (levels / 10)) / line.lengths)
    above = mean - line.ordered(levels)[quiet]
    total, middle = above.copy(), above.copy()
    for clip in (above < PAUSE_DB).nonzero()[0]:
        bins = spectra[line.slices[clip]]
        power = np.add.reduce(bins) / len(bins)
        noise = np.minimum(_noise_power(bins), power)
        total[clip] = 10 * np.log10(np.add.reduce(power) / np.add.reduce(noise))
        middle[clip] = 10 * np.log10(_median(power / noise))
    return total, middle


def _median(values: np.ndarray) -> float:
    """Return the median of few values, in a tenth of the time of numpy's."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _noise_power(spectra: np.ndarray) -> np.ndarray:
    """Return the power of the noise in each bin, from its low values over time.

    The power of a bin of Gaussian noise is exponential; of n such the k-th lowest is expected
    at 1/n + 1/(n-1) + ... + 1/(n-k+1) of the mean (Renyi 1953).
    """
    frames = len(spectra)
    place = int(NOISE_SHARE * (frames - 1))
    lowest = np.partition(np.ascontiguousarray(spectra.T), place, axis=1)[:, place]
    return lowest / np.add.reduce(1 / (frames - np.arange(place + 1)))


def _harmonicities(clips: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """Return `_harmonicity` of clips, a few at a time."""
    starts = range(0, len(clips), ASKED_TOGETHER)
    parts = [_harmonicity(clips[start : start + ASKED_TOGETHER], rate) for start in starts]
    return np.concatenate([np.empty(0), *parts])


def _harmonicity(clips: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """Return the share of each clip's loud power that repeats with a voice's period, 0 to 1.

    The autocorrelation at the pitch period, relative to that of the window, is the share of
    the power that is periodic (Boersma 1993): 1 for a vowel, a half where noise is as strong.
    What correlates from the start on, before the first zero, is the colour of noise, no pitch.
    """
    stretches = [_loud_stretches(frames) for frames in clips]
    owner = np.repeat(np.arange(len(clips)), [len(one) for one in stretches])
    waves = np.concatenate(stretches)
    if not len(waves):
        return np.zeros(len(clips))
    power, size = np.einsum("fs,fs->f", waves, waves), waves.shape[1]
    shortest, longest = round(rate / PITCH_HERTZ[1]), min(size - 1, round(rate / PITCH_HERTZ[0]))
    window, of_window = _pitch_window(size, longest)
    correlation = _autocorrelation(waves * window, longest) / of_window
    correlation /= correlation[:, :1]
    below_zero = correlation < 0
    first = np.where(below_zero.any(axis=1), below_zero.argmax(axis=1), longest + 1)
    is_pitch = np.arange(longest + 1) >= np.maximum(first, shortest)[:, None]
    periodic = np.minimum((correlation * is_pitch).max(axis=1), 1)
    whole, repeating = (np.bincount(owner, part, len(clips)) for part in (power, periodic * power))
    return repeating / np.where(whole > 0, whole, 1)


def _loud_stretches(frames: np.ndarray) -> np.ndarray:
    """Return loud pairs of successive frames as one row each, none of a clip without sound."""
    powers = np.einsum("fs,fs->f", frames, frames)
    power = powers[:-1] + powers[1:]
    least = power.max(initial=0) * np.float32(10 ** (-LOUD_RANGE_DB / 10))
    loud = ((power >= least) & (power > 0)).nonzero()[0]
    loud = loud[evenly_chosen(len(loud), MOST_PITCHES)]
    return np.concatenate([frames[loud], frames[loud + 1]], axis=1)


@lru_cache(maxsize=8)
def _pitch_window(size: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a window and its autocorrelation."""
    window = np.hanning(size).astype(np.float32)
    return window, _autocorrelation(window, longest)


def _autocorrelation(waves: np.ndarray, longest: int) -> np.ndarray:
    """Return the autocorrelation along the last axis, at lags from 0 to the longest."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(waves.shape[-1] + longest, real=True)  # so that no lag wraps around
    spectra = rfft(waves, size)
    power = np.square(spectra.real) + np.square(spectra.imag)
    return np.asarray(irfft(power, size)[..., : longest + 1])


@lru_cache(maxsize=8)
def _bands(n_bins: int, bin_hertz: float) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return where octave bands start, and which bins belong to all (first column) and to each.

    The third array is the deviation over time, in dB, of each band of steady Gaussian noise:
    10/ln(10) over the root of the bins that are independent, which are two thirds of them with
    a Hann window (Welch 1967; exact for many bins).
    """
    starts = sorted({int(edge / bin_hertz) for edge in BAND_EDGES})
    starts = [start for start in starts if start < n_bins] or [0]
    belongs = np.zeros((n_bins, len(starts) + 1), np.float32)
    belongs[:, 0] = 1
    for band, (start, end) in enumerate(pairwise([*starts, n_bins]), 1):
        belongs[start:end, band] = 1
    bins = np.add.reduce(belongs[:, 1:])
    return starts, belongs, (10 / log(10)) / np.sqrt(bins * 2 / 3)[:, None]
