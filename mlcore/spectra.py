"""Spectra of many clips at once: how flat, how wide, how they change, how alike to noise."""

from functools import lru_cache
from itertools import pairwise
from math import log

import numpy as np

from mlcore.decibels import FLOOR_DB

#: Frames of which spectra are taken at most, evenly chosen: 10 s of sound.
MOST_SPECTRA = 500

#: Samples of the shortest frame that has a spectrum.
LEAST_SAMPLES = 16

#: Edges of the bands whose change over time is measured, in Hz (about an octave each).
BAND_EDGES = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)

#: Frames within this many dB of the loudest are loud: where the word is, if there is one.
LOUD_RANGE_DB = 12.0

#: Clips this far above their quietest frames, in dB, have pauses; no noise need be looked for.
PAUSE_DB = 12.0
QUIETEST_SHARE = 0.05

#: Quantile over time of each bin that tells the noise under it (minimum statistics, Martin 2001,
#: doi:10.1109/89.928915): even in speech without a pause, each bin is free of it for a third of
#: the time. The lowest 15 of 50 frames tell a bin's noise to 1/sqrt(15), the lowest 5 to 1/sqrt(5).
NOISE_SHARE = 0.3

#: Of clips less than this above their noise, in dB, it is asked how much of them is a voice.
VOICE_ASKED_DB = 6.0

#: Pitches that are looked for, in Hz; two periods of the lowest fill the 40 ms of two frames.
PITCH_HERTZ = (70, 400)

#: Share of the power that lies below the fact `bandwidth_hz`.
BANDWIDTH_SHARE = 0.99

SPECTRAL_FACTS = (
    "spectral_flatness", "bandwidth_hz", "spectral_change_db", "sway", "loud_sway",
    "loud_evenness", "loud_roughness", "loud_seconds", "above_noise_db", "median_above_noise_db",
    "harmonicity",
)  # fmt: skip


def spectral_facts(frames: np.ndarray, levels: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Measure the spectra of clips of one length.

    Parameters
    ----------
    frames : float32 ndarray of shape (n_clips, n_frames, n_samples)
        Each frame about its mean.
    levels : float ndarray of shape (n_clips, n_frames)
        dBFS.
    rate : int
        Samples a second.

    Returns
    -------
    dict
        An array of n_clips for each of `SPECTRAL_FACTS`, which `levels.level_facts` explains.
    """
    whole, size = frames[:, :MOST_SPECTRA], frames.shape[2]
    if size < LEAST_SAMPLES:
        return dict.fromkeys(SPECTRAL_FACTS, np.zeros(len(frames)))
    if frames.shape[1] > MOST_SPECTRA:
        chosen = np.linspace(0, frames.shape[1] - 1, MOST_SPECTRA).astype(int)
        frames, levels = frames[:, chosen], levels[:, chosen]
    spectra = _power_spectra(frames)
    weights = np.full(spectra.shape[1], 1 / spectra.shape[1], np.float32)
    mean = (weights @ spectra).astype(np.float64)
    cumulated = np.add.accumulate(mean, axis=1)
    total, bins = cumulated[:, -1], mean.shape[1]
    below = np.add.reduce(cumulated < BANDWIDTH_SHARE * total[:, None], axis=1)
    flatness = np.exp(np.add.reduce(np.log(mean), axis=1) / bins) / (total / bins)
    width = np.minimum(below + 1, bins) * (rate / size)
    changes = _changes(spectra, levels, rate / size)
    above = _above_noise(spectra, levels)
    harmonicity = np.zeros(len(frames))
    for clip in (above[0] < VOICE_ASKED_DB).nonzero()[0]:
        harmonicity[clip] = _harmonicity(whole[clip], rate)
    found = (flatness, width, *changes, *above, harmonicity)
    return dict(zip(SPECTRAL_FACTS, found, strict=True))


@lru_cache(maxsize=8)
def _window(size: int) -> np.ndarray:
    return (np.hanning(size) / size).astype(np.float32)


def _power_spectra(frames: np.ndarray) -> np.ndarray:
    """Return the power of each bin but the first, of shape (n_clips, n_frames, n_bins)."""
    # In single precision, unlike numpy's; here, since the web process imports this module.
    from scipy.fft import rfft

    size = frames.shape[2]
    waves = rfft(frames * _window(size), overwrite_x=True)
    squares = np.square(waves.view(waves.real.dtype)[..., 2:])  # real, imaginary, real ...
    spectra = squares[..., ::2] + squares[..., 1::2]
    spectra += np.float32(10 ** (FLOOR_DB / 10) / size)
    return spectra


def _changes(spectra: np.ndarray, levels: np.ndarray, bin_hertz: float) -> tuple[np.ndarray, ...]:
    """Return how octave bands change over time: their shape in dB, and relative to noise.

    Parameters
    ----------
    spectra : float ndarray of shape (n_clips, n_frames, n_bins)
        Power; bin k lies at (k + 1) * bin_hertz.
    levels : float ndarray of shape (n_clips, n_frames)
        dBFS.
    bin_hertz : float

    Returns
    -------
    tuple of six ndarrays of shape (n_clips,)
        spectral_change_db, sway, loud_sway, loud_evenness, loud_roughness, loud_seconds.
    """
    belongs, of_noise = _bands(spectra.shape[2], bin_hertz)
    decibel = 10 * np.log10(spectra @ belongs)
    bands = decibel[..., 1:]
    loud = levels >= levels.max(axis=1, keepdims=True) - LOUD_RANGE_DB
    over_all = _deviation(np.concatenate([bands - decibel[..., :1], bands], axis=2), None)
    n = bands.shape[2]
    changes = (over_all[:, :n], over_all[:, n:] / of_noise, _deviation(bands, loud) / of_noise)
    return (
        *(np.add.reduce(change, axis=1) / n for change in changes),
        *_fine_structure(spectra, loud, belongs[:, 1:]),
        np.add.reduce(loud, axis=1) / bin_hertz,
    )


def _deviation(bands: np.ndarray, counted: np.ndarray | None) -> np.ndarray:
    """Return the standard deviation of each band over the (counted) frames of each clip."""
    frames = bands.shape[1]
    if counted is None:
        weights = np.full((len(bands), 1, frames), 1 / frames, np.float32)
    else:
        weights = counted[:, None] / np.add.reduce(counted, axis=1, dtype=np.float32)[:, None, None]
    centred = bands - weights @ bands
    return np.sqrt((weights @ np.square(centred))[:, 0])


def _fine_structure(
    spectra: np.ndarray, loud: np.ndarray, belongs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how flat the mean loud spectrum is within octaves, and how bins jump.

    The step from frame to frame of the logarithm of a bin of Gaussian noise is logistic, with
    a mean of 2 ln 2 where frames do not overlap; roughness is relative to that.
    """
    counts = np.add.reduce(loud, axis=1)
    first = np.add.accumulate(counts) - counts  # of each clip's loud frames, one after the other
    chosen = spectra[loud]
    mean = np.add.reduceat(chosen, first) / counts[:, None].astype(np.float32)
    sums, bins = mean @ belongs, np.add.reduce(belongs)
    flatness = np.exp(np.log(mean) @ belongs / bins) * bins
    logs = np.log(chosen)
    steps = np.zeros_like(logs)
    np.abs(logs[1:] - logs[:-1], out=steps[1:])
    steps[first] = 0
    jumps = np.add.reduceat(steps, first) / np.maximum(1, counts - 1)[:, None]
    power = np.add.reduce(mean, axis=1)
    roughness = np.add.reduce(jumps * mean, axis=1) / power / (2 * log(2))
    return np.add.reduce(flatness, axis=1) / np.add.reduce(sums, axis=1), roughness


def _above_noise(spectra: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far sound and noise together lie above the noise, in all and in the middle bin.

    Clips with pauses are not looked at closer: both figures are that of their levels.
    """
    frames = levels.shape[1]
    mean = 10 * np.log10(np.add.reduce(10 ** (levels / 10), axis=1) / frames)
    above = mean - np.sort(levels, axis=1)[:, int(QUIETEST_SHARE * (frames - 1))]
    total, middle = above.copy(), above.copy()
    for clip in (above < PAUSE_DB).nonzero()[0]:
        power = np.add.reduce(spectra[clip]) / frames
        noise = np.minimum(_noise_power(spectra[clip]), power)
        total[clip] = 10 * np.log10(np.add.reduce(power) / np.add.reduce(noise))
        middle[clip] = 10 * np.log10(np.median(power / noise))
    return total, middle


def _noise_power(spectra: np.ndarray) -> np.ndarray:
    """Return the power of the noise in each bin, from its low values over time.

    The power of a bin of Gaussian noise is exponential; of n such the k-th lowest is expected
    at 1/n + 1/(n-1) + ... + 1/(n-k+1) of the mean (Renyi 1953).
    """
    frames = len(spectra)
    place = int(NOISE_SHARE * (frames - 1))
    lowest = np.partition(np.ascontiguousarray(spectra.T), place, axis=1)[:, place]
    return lowest / np.add.reduce(1 / (frames - np.arange(place + 1)))


def _harmonicity(frames: np.ndarray, rate: int) -> float:
    """Return the share of a clip's loud power that repeats with the period of a voice, 0 to 1.

    The autocorrelation at the pitch period, relative to that of the window, is the share of
    the power that is periodic (Boersma 1993): 1 for a vowel, a half where noise is as strong.
    What correlates from the start on, before the first zero, is the colour of noise, no pitch.
    """
    waves = np.concatenate([frames[:-1], frames[1:]], axis=1)
    power = np.add.reduce(np.square(waves), axis=1)
    if not len(waves) or not power.max() > 0:
        return 0.0
    loud = power >= power.max() * np.float32(10 ** (-LOUD_RANGE_DB / 10))
    waves, power, size = waves[loud], power[loud], waves.shape[1]
    shortest, longest = round(rate / PITCH_HERTZ[1]), min(size - 1, round(rate / PITCH_HERTZ[0]))
    window, of_window = _pitch_window(size, longest)
    correlation = _autocorrelation(waves * window, longest) / of_window
    correlation /= correlation[:, :1]
    below_zero = correlation < 0
    first = np.where(below_zero.any(axis=1), below_zero.argmax(axis=1), longest + 1)
    is_pitch = np.arange(longest + 1) >= np.maximum(first, shortest)[:, None]
    periodic = (correlation * is_pitch).max(axis=1)
    return float(np.minimum(periodic, 1) @ power / np.add.reduce(power))


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
def _bands(n_bins: int, bin_hertz: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which bins belong to all (first column) and to each octave band (the others).

    The second array is the deviation over time, in dB, of each band of steady Gaussian noise:
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
    return belongs, (10 / log(10)) / np.sqrt(bins * np.float32(2 / 3))
