"""Measurements of a decoded clip: loudness, clipping, silence, edges, spectrum.

They decide nothing. The checks (silent, clipped, cut off, odd) read them later, and the file
is never opened again; so everything that these need is here.
"""

from functools import lru_cache
from itertools import pairwise
from math import ceil, exp, log, log10, pi, sqrt

import numpy as np

from mlcore.files import Fact

#: Length of a frame in seconds, as the index of the speech data uses.
FRAME_SECONDS = 0.02

#: Shares of a frame that tell how steeply a clip begins and ends: 20, 10 and 5 ms.
ONSET_SHARES = (1.0, 0.5, 0.25)

#: Levels are not followed below this, in dBFS; one step of 16 bits is -90.
FLOOR_DB = -100.0

#: Samples at and above this share of full scale count as clipped: recorders stop at 32,767 of
#: 32,768, and converters often at 0.999.
CLIPPED_AT = 0.9985

#: One step of 16 bits. Rounding moves the peak and a sample beside it by half of it each.
STEP = 1 / 32_768

#: Samples this close to the clip's own greatest or least form a flat top: half a step of 16 bits
#: and 1e-4 of the peak. Pure tones stay under 4 samples in a row up to 48 kHz down to 100 Hz.
FLAT_STEP = 0.5 * STEP
FLAT_SHARE = 1e-4

#: Shorter runs at the top are what any wave has, in samples.
LEAST_FLAT_RUN = 4

#: A flat top is longer than the crest of a tone at this pitch, in Hz: no voice is lower.
LOWEST_PITCH = 80.0

#: Sound is where frames lie above the middle between noise floor and loudest frame, and within
#: this many dB of the loudest.
SOUND_RANGE_DB = 40.0

#: Frames of which spectra are taken at most, evenly chosen: 10 s of sound.
MOST_SPECTRA = 500

#: Edges of the bands whose change over time is measured, in Hz (about an octave each).
BAND_EDGES = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)

#: Frames within this many dB of the loudest are loud: where the word is, if there is one.
LOUD_RANGE_DB = 12.0

#: Share of the power that lies below the fact `bandwidth_hz`.
BANDWIDTH_SHARE = 0.99


def level_facts(samples: np.ndarray, rate: int) -> dict[str, Fact]:
    """Measure one clip.

    Parameters
    ----------
    samples : float32 ndarray of shape (n_frames, n_channels)
        Finite; 1 is full scale; at least one frame.
    rate : int
        Frames a second.

    Returns
    -------
    dict
        Level: peak (0 to 1), rms (about the mean of each frame), dbfs (of rms),
        dc_offset (signed, of the worst channel).
        Clipping: clipped_samples, clipped_share, longest_clipped_run (samples at full scale);
        flat_top_share, longest_flat_top (samples; at the clip's own greatest and least, so
        that clipping shows which was turned down later), flat_tops (how many are longer than
        any unclipped wave has).
        Frames: noise_floor_db and loud_db (5th and 95th percentile of frame levels),
        loudest_db, frame_range_db (loud - floor).
        Time in seconds: sound_seconds, leading_silence, trailing_silence; padding_start and
        padding_end (exactly constant samples).
        Edges: edge_start_db, edge_end_db (first and last 20 ms relative to the loudest frame:
        0 is as loud, -60 is quiet); inner_start_db, inner_end_db (the same inside the
        padding); onset_start_db, onset_end_db (the quietest of the first 20, 10 and 5 ms
        inside the padding: a word that is cut tight swells within them, one that is cut off
        does not).
        Spectrum: spectral_flatness (0 tone to 1 white noise), spectral_change_db (deviation
        over time of octave bands relative to the frame's level; speech 5 to 15, steady noise
        below 4), bandwidth_hz.
        Likeness to noise: sway (deviation over time of octave bands over that of steady
        Gaussian noise of any colour, which is 1; speech 2 to 16), loud_sway (the same over the
        loud frames alone); loud_evenness (flatness of their mean spectrum within octaves,
        weighted by power; noise of any colour .85 to 1, voices mostly less), loud_roughness
        (how much bins jump from frame to frame, so weighted; noise 1, steady tones 0),
        loud_seconds.
    """
    channels = [np.ascontiguousarray(channel) for channel in samples.T]
    offsets = [float(np.add.reduce(channel)) / len(channel) for channel in channels]
    size = min(len(samples), max(1, round(FRAME_SECONDS * rate)))
    frames = [_centred_frames(channel, size) for channel in channels]
    powers = np.array([np.einsum("ij,ij->i", one, one) / size for one in frames])
    loudest = int(np.add.reduce(powers, axis=1).argmax())
    power = np.add.reduce(powers) / len(channels)
    return {
        "peak": _rounded(max(max(one.max(), -one.min()) for one in channels), 6),
        "dc_offset": _rounded(max(offsets, key=abs), 6),
        **_clipping(channels, rate),
        **_timing(samples, power, rate),
        **_spectrum(frames[loudest], decibels(powers[loudest]), rate),
    }


def _rounded(value: float | np.floating, digits: int) -> float:
    return round(float(value), digits)


def _centred_frames(channel: np.ndarray, size: int) -> np.ndarray:
    """Return the whole frames of a channel, each about its own mean.

    Taking each frame's mean off leaves offsets and slow drifts out, which nobody hears.
    """
    frames = channel[: len(channel) // size * size].reshape(-1, size)
    return frames - (frames @ np.full((size, 1), 1 / size, np.float32))


def decibels(power: np.ndarray) -> np.ndarray:
    """Return power as dBFS, not below `FLOOR_DB`.

    Examples
    --------
    >>> decibels(np.array([1.0, 0.01, 0.0]))
    array([   0.,  -20., -100.])
    """
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


def run_lengths(marked: np.ndarray) -> np.ndarray:
    """Return the lengths of all runs of True.

    Examples
    --------
    >>> run_lengths(np.array([True, False, True, True]))
    array([1, 2])
    """
    places = marked.nonzero()[0]
    if len(places) < 2:
        return np.ones_like(places)
    bounds = np.empty(len(places) + 1, bool)
    bounds[0] = bounds[-1] = True
    np.greater(places[1:] - places[:-1], 1, out=bounds[1:-1])
    edges = bounds.nonzero()[0]
    return edges[1:] - edges[:-1]


def _clipping(channels: list[np.ndarray], rate: int) -> dict[str, Fact]:
    """Count samples at full scale and runs at the clip's own greatest and least sample."""
    clipped = flat = longest_clipped = longest_flat = tops = 0
    for channel in channels:
        low, top = float(channel.min()), float(channel.max())
        if max(-low, top) >= CLIPPED_AT:
            full = run_lengths(np.abs(channel) >= CLIPPED_AT)
            clipped += int(full.sum())
            longest_clipped = max(longest_clipped, int(full.max()))
        for peak, side in ((top, channel), (-low, -channel)):
            if peak <= 0:
                continue
            near = FLAT_STEP + FLAT_SHARE * peak
            runs = run_lengths(side >= peak - near)
            flat += int(runs[runs >= LEAST_FLAT_RUN].sum())
            longest_flat = max(longest_flat, int(runs.max()))
            tops += int(np.count_nonzero(runs > _crest((near + STEP) / peak, rate)))
    samples = len(channels) * len(channels[0])
    return {
        "clipped_samples": clipped,
        "clipped_share": round(clipped / samples, 6),
        "longest_clipped_run": longest_clipped,
        "flat_top_share": round(flat / samples, 6),
        "longest_flat_top": longest_flat,
        "flat_tops": tops,
    }


def _crest(share: float, rate: int) -> int:
    """Return the most samples that an unclipped tone stays within a share of its peak.

    cos x is 1 - x**2 / 2 near its top.
    """
    return ceil(2 * sqrt(2 * share) * rate / (2 * pi * LOWEST_PITCH))


def _timing(samples: np.ndarray, power: np.ndarray, rate: int) -> dict[str, Fact]:
    """Measure levels of frames: range, silence before and after, how the clip begins and ends."""
    size = min(len(samples), max(1, round(FRAME_SECONDS * rate)))
    rms = sqrt(float(np.add.reduce(power)) / len(power))
    levels = decibels(power)
    floor, loud = _percentiles(levels, 0.05, 0.95)
    loudest = float(levels.max())
    limit = max((floor + loudest) / 2, loudest - SOUND_RANGE_DB)
    sounding = (levels >= limit).nonzero()[0]
    first, last = _inner(samples)
    inner = samples[first:last] if last - first >= size else samples
    start, end = (_edge_levels(part[:size]) for part in (samples, samples[::-1]))
    padded = len(inner) < len(samples)
    inner_start, inner_end = (
        (_edge_levels(part[:size]) for part in (inner, inner[::-1])) if padded else (start, end)
    )
    return {
        "rms": _rounded(rms, 7),
        "dbfs": _rounded(max(FLOOR_DB, 20 * log10(max(rms, 1e-9))), 2),
        "noise_floor_db": _rounded(floor, 2),
        "loud_db": _rounded(loud, 2),
        "loudest_db": _rounded(loudest, 2),
        "frame_range_db": _rounded(loud - floor, 2),
        "sound_seconds": _rounded(len(sounding) * size / rate, 4),
        "leading_silence": _rounded(sounding[0] * size / rate, 4),
        "trailing_silence": _rounded((len(levels) - 1 - sounding[-1]) * size / rate, 4),
        "padding_start": _rounded(first / rate, 4),
        "padding_end": _rounded((len(samples) - last) / rate, 4),
        "edge_start_db": _rounded(start[0] - loudest, 2),
        "edge_end_db": _rounded(end[0] - loudest, 2),
        "inner_start_db": _rounded(inner_start[0] - loudest, 2),
        "inner_end_db": _rounded(inner_end[0] - loudest, 2),
        "onset_start_db": _rounded(min(inner_start) - loudest, 2),
        "onset_end_db": _rounded(min(inner_end) - loudest, 2),
    }


def _percentiles(values: np.ndarray, *shares: float) -> list[float]:
    """Return quantiles, linear between values; `np.percentile` takes twenty times as long."""
    ordered = np.sort(values)
    found = []
    for share in shares:
        at = share * (len(ordered) - 1)
        below = int(at)
        low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
        found.append(low + (high - low) * (at - below))
    return found


def _edge_levels(frame: np.ndarray) -> list[float]:
    """Return the levels, in dBFS, of the first parts of a frame (outermost sample first)."""
    sound = frame - np.add.reduce(frame) / np.float32(len(frame))
    levels = []
    for share in ONSET_SHARES:
        part = sound[: max(1, round(share * len(sound)))].ravel()
        power = float(part @ part) / part.size
        levels.append(10 * log10(max(power, 10 ** (FLOOR_DB / 10))))
    return levels


def _inner(samples: np.ndarray) -> tuple[int, int]:
    """Return first and one past last frame between exactly constant beginning and end."""
    first = _constant_length(samples)
    if first == len(samples):
        return 0, len(samples)
    constant = _constant_length(samples[::-1])
    return (first if first > 1 else 0), len(samples) - (constant if constant > 1 else 0)


def _constant_length(samples: np.ndarray) -> int:
    """Return how many frames at the beginning are equal."""
    differs = samples != samples[0]
    across = differs[:, 0] if differs.shape[1] == 1 else differs.any(axis=1)
    place = int(across.argmax())
    return place if across[place] else len(samples)


@lru_cache(maxsize=8)
def _window(size: int) -> np.ndarray:
    return np.hanning(size).astype(np.float32)


def _spectrum(frames: np.ndarray, levels: np.ndarray, rate: int) -> dict[str, Fact]:
    size = frames.shape[1]
    if size < 16:  # too short for a spectrum
        return dict.fromkeys(_SPECTRAL_FACTS, 0.0)
    if len(frames) > MOST_SPECTRA:
        chosen = np.linspace(0, len(frames) - 1, MOST_SPECTRA).astype(int)
        frames, levels = frames[chosen], levels[chosen]
    # In single precision, unlike numpy's; here, since the web process imports this module.
    from scipy.fft import rfft

    waves = rfft(frames * _window(size))[:, 1:]
    spectra = waves.real**2 + waves.imag**2
    spectra /= size**2
    spectra += 10 ** (FLOOR_DB / 10) / size
    mean = (np.full(len(spectra), 1 / len(spectra), np.float32) @ spectra).astype(np.float64)
    cumulated = np.add.accumulate(mean)
    top = int(cumulated.searchsorted(BANDWIDTH_SHARE * cumulated[-1])) + 1
    flatness = exp(np.add.reduce(np.log(mean)) / len(mean)) / (cumulated[-1] / len(mean))
    values = (flatness, min(top, len(mean)) * rate / size, *_changes(spectra, levels, rate / size))
    return dict(zip(_SPECTRAL_FACTS, (round(float(value), 4) for value in values), strict=True))


_SPECTRAL_FACTS = (
    "spectral_flatness", "bandwidth_hz", "spectral_change_db", "sway", "loud_sway",
    "loud_evenness", "loud_roughness", "loud_seconds",
)  # fmt: skip


def _changes(spectra: np.ndarray, levels: np.ndarray, bin_hertz: float) -> tuple[float, ...]:
    """Return how octave bands change over time: their shape in dB, and relative to noise.

    Parameters
    ----------
    spectra : float ndarray of shape (n_frames, n_bins)
        Power; bin k lies at (k + 1) * bin_hertz.
    levels : float ndarray of shape (n_frames,)
        dBFS.
    bin_hertz : float

    Returns
    -------
    tuple of six floats
        spectral_change_db, sway, loud_sway, loud_evenness, loud_roughness, loud_seconds.
    """
    belongs, of_noise = _bands(spectra.shape[1], bin_hertz)
    power = spectra @ belongs
    decibel = 10 * np.log10(power)
    change = _deviation(decibel[:, 1:] - decibel[:, :1])
    bands = decibel[:, 1:]
    loud = levels >= levels.max() - LOUD_RANGE_DB
    evenness, roughness = _fine_structure(spectra[loud], belongs[:, 1:])
    return (
        float(np.add.reduce(change)) / len(change),
        float(np.add.reduce(_deviation(bands) / of_noise)) / len(change),
        float(np.add.reduce(_deviation(bands[loud]) / of_noise)) / len(change),
        evenness,
        roughness,
        int(np.count_nonzero(loud)) / bin_hertz,
    )


def _fine_structure(spectra: np.ndarray, belongs: np.ndarray) -> tuple[float, float]:
    """Return how flat the mean spectrum is within octaves, and how bins jump between frames.

    The step from frame to frame of the logarithm of a bin of Gaussian noise is logistic, with
    a mean of 2 ln 2 where frames do not overlap; roughness is relative to that.
    """
    mean = np.add.reduce(spectra) / np.float32(len(spectra))
    sums, bins = mean @ belongs, np.add.reduce(belongs)
    flatness = np.exp(np.log(mean) @ belongs / bins) * bins / sums
    logs = np.log(spectra)
    steps = np.add.reduce(np.abs(logs[1:] - logs[:-1])) / np.float32(max(1, len(logs) - 1))
    roughness = float(steps @ mean) / float(np.add.reduce(mean)) / (2 * log(2))
    return float(flatness @ sums) / float(np.add.reduce(sums)), roughness


def _deviation(bands: np.ndarray) -> np.ndarray:
    """Return the standard deviation over time of each band."""
    centred = bands - np.add.reduce(bands) / np.float32(len(bands))
    return np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(bands))


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
