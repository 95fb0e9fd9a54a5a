"""Measurements of decoded clips: loudness, clipping, silence, edges, spectrum.

They decide nothing. The checks (silent, clipped, cut off, odd) read them later, and the file
is never opened again; so everything that these need is here. Clips of one length are measured
together: a second of sound is so short that calling numpy takes longer than its arithmetic.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np

from mlcore.decibels import FLOOR_DB, decibels
from mlcore.files import Fact
from mlcore.flat_tops import clipping_facts
from mlcore.spectra import SPECTRAL_FACTS, spectral_facts

#: Length of a frame in seconds, as the index of the speech data uses.
FRAME_SECONDS = 0.02

#: Shares of a frame that tell how steeply a clip begins and ends: 20, 10 and 5 ms.
ONSET_SHARES = (1.0, 0.5, 0.25)

#: Sound is where frames lie above the middle between noise floor and loudest frame, and within
#: this many dB of the loudest.
SOUND_RANGE_DB = 40.0

#: Decimals that facts keep: four (seconds, ratios) where nothing is said.
DIGITS = {"peak": 6, "dc_offset": 6, "rms": 7, "clipped_share": 6, "flat_top_share": 6,
          "dbfs": 2}  # fmt: skip
LEVEL_DIGITS = 2


def level_facts(clips: np.ndarray, rate: int) -> list[dict[str, Fact]]:
    """Measure clips of one length, rate and number of channels.

    Parameters
    ----------
    clips : float32 ndarray of shape (n_clips, n_frames, n_channels)
        Finite; 1 is full scale; at least one clip and one frame.
    rate : int
        Frames a second.

    Returns
    -------
    list of dict
        One for each clip; the same whatever else is measured beside it.
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
        Noise beneath: above_noise_db (how far the whole lies above what each bin of the spectrum
        has at its quietest; 0 is noise alone, 3 a word as strong as the noise),
        median_above_noise_db (the same in the middle bin). harmonicity (share of the loud power
        that repeats with a voice's period, 0 to 1; asked of clips near their noise, else 0).
    """
    channels = np.ascontiguousarray(clips.transpose(0, 2, 1))
    size = min(clips.shape[1], max(1, round(FRAME_SECONDS * rate)))
    frames = _centred_frames(channels, size)
    powers = np.einsum("cnfs,cnfs->cnf", frames, frames) / size
    loudest = np.add.reduce(powers, axis=2).argmax(axis=1)
    is_mono = channels.shape[1] == 1
    chosen = (slice(None), 0) if is_mono else (np.arange(len(clips)), loudest)
    columns = {
        "dc_offset": _offsets(channels),
        **clipping_facts(channels, rate),
        **_timing(channels, np.add.reduce(powers, axis=1) / powers.shape[1], rate),
        **spectral_facts(frames[chosen], decibels(powers[chosen]), rate),
    }
    names, table = _rounded(columns)
    return [dict(zip(names, row, strict=True)) for row in table]


def _rounded(columns: dict[str, np.ndarray]) -> tuple[list[str], Iterable[tuple[Fact, ...]]]:
    """Return names and rows of facts, columns of equal digits rounded at once."""
    alike: dict[int, list[str]] = {}
    for name, column in columns.items():
        alike.setdefault(-1 if column.dtype.kind == "i" else _digits(name), []).append(name)
    lists: list[list[Fact]] = []
    for digits, names in alike.items():
        table = np.array([columns[name] for name in names])
        lists += (table if digits < 0 else np.round(table.astype(np.float64), digits)).tolist()
    return [name for names in alike.values() for name in names], zip(*lists, strict=True)


@cache
def _digits(name: str) -> int:
    is_level = name.endswith("_db") and name not in SPECTRAL_FACTS
    return DIGITS.get(name, LEVEL_DIGITS if is_level else 4)


def _centred_frames(channels: np.ndarray, size: int) -> np.ndarray:
    """Return the whole frames of each channel, each about its own mean.

    Taking each frame's mean off leaves offsets and slow drifts out, which nobody hears.
    """
    whole = channels[..., : channels.shape[2] // size * size]
    frames = whole.reshape(*channels.shape[:2], -1, size)
    return frames - (frames @ np.full((size, 1), 1 / size, np.float32))


def _offsets(channels: np.ndarray) -> np.ndarray:
    """Return the mean of each clip's channel that is furthest from zero."""
    means = np.add.reduce(channels, axis=2) / channels.shape[2]
    return means[np.arange(len(means)), np.abs(means).argmax(axis=1)]


def _timing(channels: np.ndarray, power: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Measure levels of frames: range, silence before and after, how clips begin and end."""
    samples = channels.shape[2]
    size = min(samples, max(1, round(FRAME_SECONDS * rate)))
    rms = np.sqrt(np.add.reduce(power, axis=1, dtype=np.float64) / power.shape[1])
    levels = decibels(power)
    floor, loud = _percentiles(levels, 0.05, 0.95)
    loudest = levels.max(axis=1)
    limit = np.maximum((floor + loudest) / 2, loudest - SOUND_RANGE_DB)
    sounding = levels >= limit[:, None]
    first, last = _inner(channels)
    start, end, inner_start, inner_end = _edges(channels, first, last, size) - loudest[:, None]
    return {
        "rms": rms,
        "dbfs": np.maximum(FLOOR_DB, 20 * np.log10(np.maximum(rms, 1e-9))),
        "noise_floor_db": floor,
        "loud_db": loud,
        "loudest_db": loudest,
        "frame_range_db": loud - floor,
        "sound_seconds": np.add.reduce(sounding, axis=1) * size / rate,
        "leading_silence": sounding.argmax(axis=1) * size / rate,
        "trailing_silence": sounding[:, ::-1].argmax(axis=1) * size / rate,
        "padding_start": first / rate,
        "padding_end": (samples - last) / rate,
        "edge_start_db": start[:, 0],
        "edge_end_db": end[:, 0],
        "inner_start_db": inner_start[:, 0],
        "inner_end_db": inner_end[:, 0],
        "onset_start_db": inner_start.min(axis=1),
        "onset_end_db": inner_end.min(axis=1),
    }


def _percentiles(values: np.ndarray, *shares: float) -> list[np.ndarray]:
    """Return quantiles of each row, linear between values, of one sorting."""
    ordered = np.sort(values.astype(np.float64), axis=1)
    found = []
    for share in shares:
        at = share * (ordered.shape[1] - 1)
        below = int(at)
        low, high = ordered[:, below], ordered[:, min(below + 1, ordered.shape[1] - 1)]
        found.append(low + (high - low) * (at - below))
    return found


def _edges(channels: np.ndarray, first: np.ndarray, last: np.ndarray, size: int) -> np.ndarray:
    """Return levels of the first and last 20, 10 and 5 ms, of whole clips and inside padding.

    Returns
    -------
    float ndarray of shape (4, n_clips, 3)
        dBFS of start, end, start inside the padding, end inside it.
    """
    samples = channels.shape[2]
    start, end = channels[..., :size], channels[..., : samples - size - 1 : -1]
    if size == samples:
        end = channels[..., ::-1]
    inner_start, inner_end = start, end
    padded = ((last - first < samples) & (last - first >= size)).nonzero()[0]
    if len(padded):
        inner_start, inner_end = start.copy(), end.copy()
        for clip in padded:
            inner = channels[clip, :, first[clip] : last[clip]]
            inner_start[clip], inner_end[clip] = inner[:, :size], inner[:, ::-1][:, :size]
    return _edge_levels(np.stack([start, end, inner_start, inner_end]))


def _edge_levels(frames: np.ndarray) -> np.ndarray:
    """Return the levels, in dBFS, of the first parts of frames (outermost sample first)."""
    middle = np.add.reduce(frames, axis=-1, keepdims=True) / np.float32(frames.shape[-1])
    squares = np.add.reduce(np.square(frames - middle), axis=-2)  # over channels
    lengths = [max(1, round(share * frames.shape[-1])) for share in ONSET_SHARES]
    powers = [np.add.reduce(squares[..., :n], axis=-1) / (n * frames.shape[-2]) for n in lengths]
    return decibels(np.stack(powers, axis=-1))


def _inner(channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first and one past last frame between exactly constant beginnings and ends."""
    clips, _, samples = channels.shape
    first, last = np.zeros(clips, int), np.full(clips, samples)
    if samples < 2:
        return first, last
    repeats = (channels[..., 0] == channels[..., 1]).all(axis=1)
    for clip in repeats.nonzero()[0]:
        first[clip] = _constant_length(channels[clip]) % samples  # all constant: no padding
    repeats = (channels[..., -1] == channels[..., -2]).all(axis=1)
    for clip in repeats.nonzero()[0]:
        last[clip] -= _constant_length(channels[clip, :, ::-1]) % samples
    return first, last


def _constant_length(channels: np.ndarray) -> int:
    """Return how many frames at the beginning are equal; channels of shape (n, n_frames)."""
    differs = (channels != channels[:, :1]).any(axis=0)
    place = int(differs.argmax())
    return place if differs[place] else len(differs)
