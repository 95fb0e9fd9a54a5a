"""Measurements of decoded clips: loudness, clipping, silence, edges, spectrum.

They decide nothing. The checks (silent, clipped, cut off, odd) read them later, and the file
is never opened again; so everything that these need is here. Clips are measured together, laid
one after the other: a second of sound is so short that calling numpy takes longer than its
arithmetic.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np

from mlcore.decibels import FLOOR_DB, decibels
from mlcore.edges import edge_facts, hole_facts
from mlcore.files import Fact
from mlcore.flat_tops import clipping_facts
from mlcore.lines import Line
from mlcore.sound_frames import Frames, Look
from mlcore.spectra import SPECTRAL_FACTS, spectral_facts
from mlcore.used_steps import used_steps
from mlcore.waveforms import Waves, scaled

#: Length of a frame in seconds, as the index of the speech data uses.
FRAME_SECONDS = 0.02

#: Sound is where frames lie above the middle between noise floor and loudest frame, and within
#: this many dB of the loudest.
SOUND_RANGE_DB = 40.0

#: Decimals that facts keep: four (seconds, ratios) where nothing is said.
DIGITS = {"peak": 6, "dc_offset": 6, "rms": 7, "clipped_share": 6, "flat_top_share": 6,
          "dbfs": 2}  # fmt: skip
LEVEL_DIGITS = 2


def frame_samples(rate: int) -> int:
    """Return how many samples a whole frame has."""
    return max(1, round(FRAME_SECONDS * rate))


def level_facts(waves: Waves, rate: int) -> list[dict[str, Fact]]:
    """Measure clips of one rate and number of channels.

    Parameters
    ----------
    waves : Waves
        Finite; at least one clip. All last a whole frame at least, or none does and all are of
        one length.
    rate : int
        Samples a second.

    Returns
    -------
    list of dict
        One for each clip; the same whatever else is measured beside it.
        Level: peak (0 to 1), rms (about the mean of each frame), dbfs (of rms),
        dc_offset (signed, of the worst channel). steps_used (16-bit clips: share of the steps
        around the first channel's mean that occur; half of them after twice the gain).
        Clipping: clipped_samples, clipped_share, longest_clipped_run (samples at full scale);
        flat_top_share, longest_flat_top (samples; at the clip's own greatest and least, so
        that clipping shows which was turned down later), flat_tops (how many are longer than
        any unclipped wave has), piled_samples (in runs of any length at a top from which both
        sides fall steeply, if most that come near it reach it; else 0).
        Frames: noise_floor_db and loud_db (5th and 95th percentile of frame levels),
        loudest_db, frame_range_db (loud - floor).
        Time in seconds: sound_seconds, leading_silence, trailing_silence; padding_start and
        padding_end (exactly constant samples).
        Edges: edge_start_db, edge_end_db (first and last 20 ms relative to the loudest frame:
        0 is as loud, -60 is quiet); inner_start_db, inner_end_db (the same inside the
        padding); onset_start_db, onset_end_db (the quietest of the first 20, 10 and 5 ms
        inside the padding: a word that is cut tight swells within them, one that is cut off
        does not).
        Holes: hole_db (how loud, relative to the loudest frame, the quieter side of the most
        abrupt stretch of exactly constant samples inside the clip is, as edges are; -100 for
        none), hole_seconds (its length).
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
        that repeats with a voice's period, 0 to 1; asked of clips near their noise, and of
        those whose loud part moves as noise does, if their bins jump as its do, else 0).
    """
    size = min(int(waves.line.lengths[0]), frame_samples(rate))
    channels = Frames.of_channels(waves, size)
    looks = [one.look() for one in channels]
    frames, loudest = _loudest(channels, looks)
    power = np.add.reduce([one.powers for one in looks]) / len(looks)
    timing = _timing(power, frames.line, size / rate)
    edges = edge_facts(waves, timing["loudest_db"], size=size, rate=rate)
    means = _means(waves, frames.line, np.array([one.means for one in looks]), size=size)
    columns = {
        "dc_offset": means[np.abs(means).argmax(axis=0), np.arange(means.shape[1])],
        **({"steps_used": used_steps(waves, means[0])} if waves.samples.dtype.kind == "i" else {}),
        **clipping_facts(waves, rate),
        **timing,
        **edges,
        **hole_facts(waves, edges, timing["loudest_db"], size=size, rate=rate),
        **spectral_facts(frames, loudest.spectra, decibels(loudest.powers), rate),
    }
    names, table = _rounded(columns)
    return [dict(zip(names, row, strict=True)) for row in table]


def _rounded(columns: dict[str, np.ndarray]) -> tuple[list[str], Iterable[tuple[Fact, ...]]]:
    """Return names and rows of facts, all columns rounded at once."""
    counts = {name: column for name, column in columns.items() if column.dtype.kind == "i"}
    names = [name for name in columns if name not in counts]
    scales = np.array([10.0 ** _digits(name) for name in names])[:, None]
    table = np.rint(np.array([columns[name] for name in names], np.float64) * scales) / scales
    lists = [*(column.tolist() for column in counts.values()), *table.tolist()]
    return [*counts, *names], zip(*lists, strict=True)


@cache
def _digits(name: str) -> int:
    is_level = name.endswith("_db") and name not in SPECTRAL_FACTS
    return DIGITS.get(name, LEVEL_DIGITS if is_level else 4)


def _loudest(channels: list[Frames], looks: list[Look]) -> tuple[Frames, Look]:
    """Return the frames of each clip's loudest channel, and what they measure."""
    if len(channels) == 1:
        return channels[0], looks[0]
    line, (rows, _) = channels[0].line, channels[0].thinned
    powers = np.array([one.powers for one in looks])
    chosen, n = line.sums(powers.T).argmax(axis=1)[line.owner], np.arange(len(line.owner))
    steps = np.array([one.steps for one in channels])[chosen, n]
    spectra = np.array([one.spectra for one in looks])[chosen[rows], np.arange(len(n[rows]))]
    return Frames(steps, line), Look(looks[0].means, powers[chosen, n], spectra)


def _means(waves: Waves, frames: Line, means: np.ndarray, *, size: int) -> np.ndarray:
    """Return the mean of each channel of each clip, by those of whole frames and what is left."""
    sums = size * frames.sums(means.T.astype(np.float64)).T
    left = waves.line.lengths - size * frames.lengths
    some = left.nonzero()[0]
    if len(some):
        rest = Line.of(left[some])
        places = (waves.line.ends[some] - rest.ends)[rest.owner] + np.arange(len(rest.owner))
        sums[:, some] += rest.sums(scaled(waves.samples[:, places]).T).T
    return sums / waves.line.lengths


def _timing(power: np.ndarray, line: Line, frame: float) -> dict[str, np.ndarray]:
    """Measure levels of frames of so many seconds: range, silence before and after the sound."""
    rms = np.sqrt(line.sums(power.astype(np.float64)) / line.lengths)
    levels = decibels(power)
    floor, loud = _percentiles(levels, line, 0.05, 0.95)
    loudest = np.maximum.reduceat(levels, line.starts)
    limit = np.maximum((floor + loudest) / 2, loudest - SOUND_RANGE_DB)
    sounding = (levels >= limit[line.owner]).nonzero()[0]
    first, last = np.searchsorted(sounding, line.starts), np.searchsorted(sounding, line.ends)
    return {
        "rms": rms,
        "dbfs": np.maximum(FLOOR_DB, 20 * np.log10(np.maximum(rms, 1e-9))),
        "noise_floor_db": floor,
        "loud_db": loud,
        "loudest_db": loudest,
        "frame_range_db": loud - floor,
        "sound_seconds": (last - first) * frame,
        "leading_silence": (sounding[first] - line.starts) * frame,
        "trailing_silence": (line.ends - 1 - sounding[last - 1]) * frame,
    }


def _percentiles(values: np.ndarray, line: Line, *shares: float) -> list[np.ndarray]:
    """Return quantiles of each clip, linear between values, of one sorting."""
    ordered = line.ordered(values.astype(np.float64))
    found = []
    for share in shares:
        at = share * (line.lengths - 1)
        below = at.astype(int)
        low = ordered[line.starts + below]
        high = ordered[line.starts + np.minimum(below + 1, line.lengths - 1)]
        found.append(low + (high - low) * (at - below))
    return found
