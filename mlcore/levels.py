"""Measurements of a decoded clip: loudness, clipping, silence, edges, spectrum.

They decide nothing. The checks (silent, clipped, cut off, odd) read them later, and the file
is never opened again; so everything that these need is here.
"""

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

#: Samples this close to the clip's own greatest or least form a flat top: 1.5 steps of 16 bits
#: and 1e-4 of the peak. Pure tones stay under 4 samples in a row up to 48 kHz down to 100 Hz.
FLAT_STEP = 1.5 / 32_768
FLAT_SHARE = 1e-4

#: Shorter runs at the top are what any wave has, in samples.
LEAST_FLAT_RUN = 4

#: Sound is where frames lie above the middle between noise floor and loudest frame, and within
#: this many dB of the loudest.
SOUND_RANGE_DB = 40.0

#: Frames of which spectra are taken at most, evenly chosen: 10 s of sound.
MOST_SPECTRA = 500

#: Edges of the bands whose change over time is measured, in Hz (about an octave each).
BAND_EDGES = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)

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
        Level: peak (0 to 1), rms (about the mean of each frame), dbfs (of rms), mean_abs,
        dc_offset (signed, of the worst channel).
        Clipping: clipped_samples, clipped_share, longest_clipped_run (samples at full scale);
        flat_top_share, longest_flat_top (samples; at the clip's own greatest and least, so
        that clipping shows which was turned down later).
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
        below 4), bandwidth_hz, zero_crossings (a second, about the mean).
    """
    offsets = samples.mean(axis=0, dtype=np.float64)
    mono = samples[:, 0] if samples.shape[1] == 1 else _loudest_channel(samples)
    facts: dict[str, Fact] = {
        "peak": _rounded(np.abs(samples).max(), 6),
        "mean_abs": _rounded(np.abs(mono - np.float32(mono.mean())).mean(), 7),
        "dc_offset": _rounded(offsets[np.abs(offsets).argmax()], 6),
        "zero_crossings": _rounded(
            np.count_nonzero(np.diff(mono > mono.mean())) * rate / len(mono), 1
        ),
    }
    facts |= _clipping(samples)
    facts |= _timing(samples, rate)
    facts |= _spectrum(mono, rate)
    return facts


def _rounded(value: float | np.floating, digits: int) -> float:
    return round(float(value), digits)


def _loudest_channel(samples: np.ndarray) -> np.ndarray:
    return samples[:, int(samples.var(axis=0).argmax())]


def _power(samples: np.ndarray, size: int) -> np.ndarray:
    """Return the power of each whole frame about the frame's own mean, over all channels.

    Taking each frame's mean off leaves offsets and slow drifts out, which nobody hears.
    """
    frames = samples[: len(samples) // size * size].reshape(-1, size, samples.shape[1])
    return frames.var(axis=1).mean(axis=1)


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
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]])))
    return edges[1::2] - edges[::2]


def _clipping(samples: np.ndarray) -> dict[str, Fact]:
    """Count samples at full scale and runs at the clip's own greatest and least sample."""
    clipped = flat = longest_clipped = longest_flat = 0
    for channel in samples.T:
        full = run_lengths(np.abs(channel) >= CLIPPED_AT)
        clipped += int(full.sum())
        longest_clipped = max(longest_clipped, int(full.max(initial=0)))
        for side in (channel, -channel):
            top = float(side.max())
            if top <= 0:
                continue
            runs = run_lengths(side >= top - FLAT_STEP - FLAT_SHARE * top)
            flat += int(runs[runs >= LEAST_FLAT_RUN].sum())
            longest_flat = max(longest_flat, int(runs.max()))
    return {
        "clipped_samples": clipped,
        "clipped_share": round(clipped / samples.size, 6),
        "longest_clipped_run": longest_clipped,
        "flat_top_share": round(flat / samples.size, 6),
        "longest_flat_top": longest_flat,
    }


def _timing(samples: np.ndarray, rate: int) -> dict[str, Fact]:
    """Measure levels of frames: range, silence before and after, how the clip begins and ends."""
    size = min(len(samples), max(1, round(FRAME_SECONDS * rate)))
    power = _power(samples, size)
    rms = float(np.sqrt(power.mean()))
    levels = decibels(power)
    floor, loud = np.percentile(levels, [5, 95])
    loudest = float(levels.max())
    sounding = np.flatnonzero(levels >= max((floor + loudest) / 2, loudest - SOUND_RANGE_DB))
    first, last = _inner(samples)
    inner = samples[first:last] if last - first >= size else samples
    edges = (samples[:size], samples[-size:], inner[:size], inner[-size:])
    start, end, inner_start, inner_end = (
        _rounded(float(decibels(_power(edge, size))[0]) - loudest, 2) for edge in edges
    )
    onset_start, onset_end = (
        _rounded(_onset(edge) - loudest, 2) for edge in (inner[:size], inner[::-1][:size])
    )
    return {
        "rms": _rounded(rms, 7),
        "dbfs": _rounded(max(FLOOR_DB, 20 * np.log10(max(rms, 1e-9))), 2),
        "noise_floor_db": _rounded(floor, 2),
        "loud_db": _rounded(loud, 2),
        "loudest_db": _rounded(loudest, 2),
        "frame_range_db": _rounded(loud - floor, 2),
        "sound_seconds": _rounded(len(sounding) * size / rate, 4),
        "leading_silence": _rounded(sounding[0] * size / rate, 4),
        "trailing_silence": _rounded((len(levels) - 1 - sounding[-1]) * size / rate, 4),
        "padding_start": _rounded(first / rate, 4),
        "padding_end": _rounded((len(samples) - last) / rate, 4),
        "edge_start_db": start,
        "edge_end_db": end,
        "inner_start_db": inner_start,
        "inner_end_db": inner_end,
        "onset_start_db": onset_start,
        "onset_end_db": onset_end,
    }


def _onset(frame: np.ndarray) -> float:
    """Return the lowest level, in dBFS, of the first parts of a frame (outermost sample first)."""
    power = ((frame - frame.mean(axis=0)) ** 2).mean(axis=1)
    parts = (power[: max(1, round(share * len(power)))].mean() for share in ONSET_SHARES)
    return float(decibels(np.array(list(parts))).min())


def _inner(samples: np.ndarray) -> tuple[int, int]:
    """Return first and one past last frame between exactly constant beginning and end."""
    differs_from_first = np.flatnonzero((samples != samples[0]).any(axis=1))
    if not len(differs_from_first):
        return 0, len(samples)
    differs_from_last = np.flatnonzero((samples != samples[-1]).any(axis=1))
    first = int(differs_from_first[0]) if differs_from_first[0] > 1 else 0
    last = int(differs_from_last[-1]) + 1
    return first, last if last < len(samples) - 1 else len(samples)


def _spectrum(mono: np.ndarray, rate: int) -> dict[str, Fact]:
    size = min(len(mono), max(2, round(FRAME_SECONDS * rate)))
    if size < 16:  # too short for a spectrum
        return {"spectral_flatness": 0.0, "spectral_change_db": 0.0, "bandwidth_hz": 0.0}
    frames = mono[: len(mono) // size * size].reshape(-1, size)
    frames = frames - frames.mean(axis=1, keepdims=True)
    if len(frames) > MOST_SPECTRA:
        frames = frames[np.linspace(0, len(frames) - 1, MOST_SPECTRA).astype(int)]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32))[:, 1:]) ** 2
    spectra = spectra / size**2 + 10 ** (FLOOR_DB / 10) / size
    mean = spectra.mean(axis=0)
    cumulated = np.cumsum(mean)
    top = int(np.searchsorted(cumulated, BANDWIDTH_SHARE * cumulated[-1])) + 1
    return {
        "spectral_flatness": _rounded(np.exp(np.log(mean).mean()) / mean.mean(), 4),
        "spectral_change_db": _rounded(_spectral_change(spectra, rate / size), 2),
        "bandwidth_hz": _rounded(min(top, len(mean)) * rate / size, 1),
    }


def _spectral_change(spectra: np.ndarray, bin_hertz: float) -> float:
    """Return the mean over octave bands of the deviation over time, in dB.

    Parameters
    ----------
    spectra : float ndarray of shape (n_frames, n_bins)
        Power; bin k lies at (k + 1) * bin_hertz.
    """
    starts = [int(edge / bin_hertz) for edge in BAND_EDGES]
    starts = sorted({s for s in starts if s < spectra.shape[1]})
    bands = 10 * np.log10(np.add.reduceat(spectra, starts, axis=1))
    shape = bands - 10 * np.log10(spectra.sum(axis=1, keepdims=True))
    return float(shape.std(axis=0).mean())
