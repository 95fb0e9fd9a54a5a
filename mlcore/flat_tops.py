"""Clipping of many clips at once: samples at full scale, and flat tops at a clip's own peak."""

from math import pi, sqrt

import numpy as np

from mlcore.lines import Line
from mlcore.waveforms import Waves, scaled

#: Samples at and above this share of full scale count as clipped: recorders stop at 32,767 of
#: 32,768, and converters often at 0.999.
CLIPPED_AT = 0.9985

#: One step of 16 bits. Rounding moves the peak and a sample beside it by half of it each.
STEP = 1 / 32_768

#: The step of 8 bits, than which no recorder's is coarser.
COARSEST_STEP = 1 / 128

#: One sample in so many tells the steps of most clips.
FEW = 64

#: Samples this close to the clip's own greatest or least form a flat top: half a step of 16 bits
#: and 1e-4 of the peak. Pure tones stay under 4 samples in a row up to 48 kHz down to 100 Hz.
FLAT_STEP = 0.5 * STEP
FLAT_SHARE = 1e-4

#: Shorter runs at the top are what any wave has, in samples.
LEAST_FLAT_RUN = 4

#: A flat top is longer than the crest of a tone at this pitch, in Hz: no voice is lower.
LOWEST_PITCH = 80.0

#: Samples are piled up at a top where the neighbours of each run lie this many depths below it.
#: No crest as blunt as x**4 holds three samples within a depth of its top and then falls so far.
STEEP_DEPTHS = 16

#: But no more than this share of the height, where steps are so coarse that as many depths are most
#: of the wave. Steps are looked at here too: those of mu-law and A-law (ITU-T G.711) get twice as
#: coarse with each octave, so only those near the top, two to four, say what it may hide.
TOPMOST = 1 / 8

#: Fewer samples reach the same top by chance: three did in one of 2,000 tones in noise.
LEAST_PILED = 4

#: So many crests of at least so many samples at a top tell by their shape that it is cut, where
#: three of the wave's own depths or more are in reach. One as blunt as a parabola is twice as wide
#: there: 2n - 2 samples at least where n lie at the top; so many have fewer. And together they are
#: narrower than if all were as blunt as x**4: in reach of r depths (1 + r) ** (1/4) times as wide.
SHAPED_CRESTS, SHAPED_RUN = 3, 3
SHAPED_DEPTHS = 3
BLUNTNESS = 4


def clipping_facts(waves: Waves, rate: int) -> dict[str, np.ndarray]:
    """Count samples at full scale and runs at each clip's own greatest and least sample.

    Parameters
    ----------
    waves : Waves
        Of n_clips.
    rate : int
        Samples a second.

    Returns
    -------
    dict
        Arrays of n_clips: peak, clipped_samples, clipped_share, longest_clipped_run,
        flat_top_share, longest_flat_top, flat_tops, piled_samples, as `levels.level_facts`
        explains.
    """
    line, channels = waves.line, len(waves.samples)
    clips, low, top = len(line.lengths), waves.bottoms.ravel(), waves.tops.ravel()
    peak = np.maximum(-low, top)
    # A dead channel, constant or within a step of it, is one flat top and no clipping.
    height = np.concatenate([top, -low]) * np.tile(top - low > 2 * STEP, 2)
    clipped = longest_clipped = np.zeros(clips, int)
    samples, each = waves.samples.ravel(), Line.of(np.tile(line.lengths, channels))
    limit = _full_scale(samples, each, peak)
    full = (peak >= limit).nonzero()[0]
    if len(full):
        at_full = [np.abs(scaled(samples[each.slices[wave]])) >= limit[wave] for wave in full]
        rows, _, runs = runs_of(np.concatenate(at_full), Line.of(each.lengths[full]))
        clipped, longest_clipped = _totals(full[rows] % clips, runs, clips, least=1)
    return {
        "peak": peak.reshape(-1, clips).max(axis=0),
        "clipped_samples": clipped,
        "clipped_share": clipped / (channels * line.lengths),
        "longest_clipped_run": longest_clipped,
        **_top_facts(waves, height.astype(np.float64), rate),
    }


def _full_scale(samples: np.ndarray, each: Line, peak: np.ndarray) -> np.ndarray:
    """Return from where on samples are at full scale: in 8 bits the greatest is 127 of 128."""
    limit = np.full(len(peak), CLIPPED_AT, np.float32)
    for wave in (peak >= 1 - COARSEST_STEP).nonzero()[0]:
        own = samples[each.slices[wave]]
        if not 0 < _own_step(own[::FEW]) <= STEP:  # finer steps are seen in a few samples
            limit[wave] = min(CLIPPED_AT, 1 - min(COARSEST_STEP, _own_step(own)))
    return limit


def _top_facts(waves: Waves, height: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Look at the runs at the greatest and least sample of each channel of each clip.

    `height` of shape (2 * n_channels * n_clips,) has the greatest of all, then the least turned up.
    """
    line, channels, samples = waves.line, len(waves.samples), waves.samples.ravel()
    clips = len(line.lengths)
    sides = Line.of(np.tile(line.lengths, 2 * channels))
    near = FLAT_STEP + FLAT_SHARE * height
    rows, begins, runs = _joined(_near_tops(waves, height, near), sides)
    owner = rows % clips
    flat, longest = _totals(owner, runs, clips, least=LEAST_FLAT_RUN)
    drops = _drops(samples, sides, rows, begins, runs)
    depth = near + STEP
    tops = runs > _crest(depth[rows] / height[rows], rate)
    may = _piled(rows, runs, drops, _reach(depth, height)).nonzero()[0]
    shaped = np.bincount(rows[runs >= SHAPED_RUN], minlength=len(height)) >= SHAPED_CRESTS
    for row in {*rows[tops].tolist(), *may.tolist(), *shaped.nonzero()[0].tolist()}:
        depth[row] = near[row] + _step_at_top(_upright(samples, sides, row), height[row])
    tops = runs > _crest(depth[rows] / height[rows], rate)
    reach = _reach(depth, height)
    piled, at_top = _piled(rows, runs, drops, reach), np.bincount(rows, runs, len(height))
    for row in {*piled.nonzero()[0].tolist(), *shaped.nonzero()[0].tolist()}:
        near_top = _upright(samples, sides, row) >= height[row] - reach[row]
        least = _piled_share(depth[row] / reach[row]) * np.count_nonzero(near_top)
        piled[row] *= at_top[row] >= least
        own = (rows == row) & (runs >= SHAPED_RUN)
        widths = _widths(near_top, begins[own] - sides.starts[row])
        if _are_cut(runs[own], widths, reach[row] / depth[row]):
            piled[row] = max(piled[row], runs[own].sum())
    return {
        "flat_top_share": flat / (channels * line.lengths),
        "longest_flat_top": longest,
        "flat_tops": np.bincount(owner[tops], minlength=clips),
        "piled_samples": piled.reshape(-1, clips).sum(axis=0),
    }


def _upright(samples: np.ndarray, sides: Line, row: int) -> np.ndarray:
    """Return a row's wave, turned so that the top looked at is its greatest sample."""
    half = len(sides.lengths) // 2
    wave = scaled(samples[sides.slices[row % half]])
    return wave if row < half else -wave


def _reach(depth: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return how far below its top each row is looked at."""
    return np.minimum(STEEP_DEPTHS * depth, np.maximum(TOPMOST * height, STEP))


def _piled_share(topmost: float) -> float:
    """Return the share of the samples in reach that must lie in the topmost part of it.

    Of a parabola's samples the square root lies there (a quarter in a sixteenth), of noise
    fewer, of a clipped wave all: the middle.
    """
    return (1 + sqrt(topmost)) / 2


def _piled(rows: np.ndarray, runs: np.ndarray, drops: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return how many samples are piled up at each row's top: in runs with steep sides.

    A wave that repeats reaches its top again and again, but then its sides are the same too.
    """
    steep = drops >= reach[rows]
    rows, runs, drops = rows[steep], runs[steep], drops[steep]
    piled = np.bincount(rows, runs, len(reach)).astype(int)
    longest, least, most = np.zeros(len(reach), int), np.full(len(reach), np.inf), -reach
    np.maximum.at(longest, rows, runs)
    np.minimum.at(least, rows, drops)
    np.maximum.at(most, rows, drops)
    repeats = (most - least < reach) & (longest < LEAST_PILED)
    return np.where(repeats | (piled < LEAST_PILED), 0, piled)


def _widths(near_top: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the lengths of the runs of True in which places lie."""
    _, begins, runs = runs_of(near_top, Line.of([len(near_top)]))
    return runs[np.searchsorted(begins, places, side="right") - 1]


def _are_cut(runs: np.ndarray, widths: np.ndarray, reach: float) -> bool:
    """Say whether crests of so many samples at their top are cut, by their widths in reach.

    `reach` is in depths.
    """
    narrow = np.count_nonzero(widths < 2 * runs - 2)
    blunt = (1 + reach) ** (1 / BLUNTNESS) * runs.sum()
    return bool(reach >= SHAPED_DEPTHS and narrow >= SHAPED_CRESTS and widths.sum() < blunt)


def _near_tops(waves: Waves, height: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return places of samples near the greatest of their clip, then of those near the least.

    Only stretches whose own greatest or least sample lies there are looked into.
    """
    # Compared in the samples' own precision, a third of the time; half a step is far coarser.
    limit = np.where(height > 0, height - near, np.inf).astype(np.float32)
    stretches, channels = waves.stretches, len(waves.samples)
    lowest = np.repeat(limit, np.tile(waves.drawn.lengths, 2 * channels))
    chosen = (np.concatenate([waves.greatest, -waves.least]).ravel() >= lowest).nonzero()[0]
    side, stretch = divmod(chosen, len(stretches.starts))
    inside = Line.of(stretches.lengths[stretch])
    begins = side * waves.samples.shape[1] + stretches.starts[stretch]
    places = (begins - inside.starts)[inside.owner] + np.arange(len(inside.owner))
    found = scaled(waves.samples.ravel()[places % waves.samples.size])
    turned = np.where(side < channels, np.float32(1), np.float32(-1))
    return places[turned[inside.owner] * found >= lowest[chosen][inside.owner]]


def _drops(
    samples: np.ndarray, sides: Line, rows: np.ndarray, begins: np.ndarray, runs: np.ndarray
) -> np.ndarray:
    """Return how far the higher neighbour of each run at a top lies below it; 0 at a clip's end."""
    before, after = begins - 1, begins + runs
    inside = (before >= sides.starts[rows]) & (after < sides.ends[rows])
    sign, n = np.where(begins < len(samples), 1.0, -1.0), len(samples)
    first, top, last = (sign * scaled(samples[at % n]) for at in (before, begins, after))
    return np.where(inside, top - np.maximum(first, last), 0.0)


def _totals(
    owner: np.ndarray, runs: np.ndarray, clips: int, *, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each clip's samples in runs of a least length, and its longest run; 0 for none."""
    counted = np.where(runs >= least, runs, 0)
    longest = np.zeros(clips, int)
    np.maximum.at(longest, owner, runs)
    return np.bincount(owner, counted, minlength=clips).astype(int), longest


def runs_of(marked: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows, first places and lengths of all runs of True, row by row.

    Parameters
    ----------
    marked : bool ndarray of shape (n_places,)
    line : Line
        Where each row lies.

    Examples
    --------
    >>> rows, begins, lengths = runs_of(np.array([True, False, True, True, True]), Line.of([3, 2]))
    >>> rows.tolist(), begins.tolist(), lengths.tolist()
    ([0, 0, 1], [0, 2, 3], [1, 1, 2])
    """
    return _joined(np.flatnonzero(marked), line)


def _joined(places: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return runs of ascending places as `runs_of` does."""
    rows = np.searchsorted(line.starts, places, side="right") - 1
    begins = np.ones(len(places) + 1, bool)  # and one past the last
    begins[1:-1] = (places[1:] > places[:-1] + 1) | (rows[1:] > rows[:-1])
    starts = begins.nonzero()[0]
    lengths, starts = starts[1:] - starts[:-1], starts[:-1]
    return rows[starts], places[starts], lengths


def _step_at_top(wave: np.ndarray, height: float) -> float:
    """Return the step of a wave near its top, where it is coarsest in companded sound."""
    upper = wave[wave >= (1 - TOPMOST) * height]
    return _own_step(np.float32(height) - upper) or _own_step(wave)


def _own_step(samples: np.ndarray) -> float:
    """Return the step of which all samples are multiples: 1/128 in a clip that once had 8 bits."""
    steps = samples if samples.dtype.kind == "i" else np.rint(samples / STEP).astype(np.int64)
    together = int(np.bitwise_or.reduce(steps, axis=None))
    return STEP * (together & -together)


def _crest(share: np.ndarray, rate: int) -> np.ndarray:
    """Return the most samples that an unclipped tone stays within a share of its peak.

    cos x is 1 - x**2 / 2 near its top.
    """
    return np.ceil(2 * np.sqrt(2 * share) * rate / (2 * pi * LOWEST_PITCH))
