"""How clips begin and end, and the edges of holes inside them."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mlcore.decibels import FLOOR_DB, decibels
from mlcore.flat_tops import runs_of
from mlcore.lines import Line
from mlcore.sound_frames import centred
from mlcore.waveforms import Waves, scaled

#: Shares of a frame that tell how steeply a clip begins and ends: 20, 10 and 5 ms.
ONSET_SHARES = (1.0, 0.5, 0.25)

SIDES = ("start", "end")


def edge_facts(waves: Waves, loudest: np.ndarray, *, size: int, rate: int) -> dict[str, np.ndarray]:
    """Measure how clips begin and end, also inside exactly constant samples.

    Parameters
    ----------
    waves : Waves
        Of n_clips.
    loudest : float ndarray of shape (n_clips,)
        Level of each clip's loudest frame, in dBFS.
    size : int
        Samples of a frame.
    rate : int
        Samples a second.

    Returns
    -------
    dict
        Arrays of n_clips, as `levels.level_facts` explains: padding in seconds, levels in dB.
    """
    samples, line = waves.samples, waves.line
    first, last = _padding(samples, line)
    is_inside = line.lengths - first - last >= size
    inner = [np.where(is_inside, at, 0) for at in (first, last)]
    from_start = [line.starts, line.starts + inner[0]]
    from_end = [line.ends - size, line.ends - size - inner[1]]
    frames = scaled(sliding_window_view(samples, size, axis=1)[:, from_start + from_end])
    frames[:, 2:] = frames[:, 2:, :, ::-1]
    start, inner_start, end, inner_end = _edge_levels(frames) - loudest[:, None]
    return {
        "padding_start": first / rate,
        "padding_end": last / rate,
        "edge_start_db": start[:, 0],
        "edge_end_db": end[:, 0],
        "inner_start_db": inner_start[:, 0],
        "inner_end_db": inner_end[:, 0],
        "onset_start_db": inner_start.min(axis=1),
        "onset_end_db": inner_end.min(axis=1),
    }


def hole_facts(
    waves: Waves, edges: dict[str, np.ndarray], loudest: np.ndarray, *, size: int, rate: int
) -> dict[str, np.ndarray]:
    """Measure the most abrupt stretch of exactly constant samples inside each clip.

    Only what holds one of the stretches that are drawn, a 400th of the clip, is seen.

    Parameters
    ----------
    waves, loudest, size, rate
        As for `edge_facts`.
    edges : dict
        What that returned.

    Returns
    -------
    dict
        Arrays of n_clips: hole_db, hole_seconds, as `levels.level_facts` explains.
    """
    level, seconds = np.full(len(loudest), FLOOR_DB), np.zeros(len(loudest))
    still = waves.least == waves.greatest
    if np.count_nonzero(still):
        for clip, begin, end in _holes(waves, still.all(axis=0), edges, size=size, rate=rate):
            found = _hole_level(waves.samples, begin, end, size) - loudest[clip]
            if found > level[clip]:
                level[clip], seconds[clip] = found, (end - begin) / rate
    return {"hole_db": level, "hole_seconds": seconds}


def _holes(
    waves: Waves, still: np.ndarray, edges: dict[str, np.ndarray], *, size: int, rate: int
) -> Iterator[tuple[int, int, int]]:
    """Yield clips, first places and ends of constant stretches a frame inside their padding.

    Those at a clip's greatest or least sample are clipped tops, but for those of a dead channel.
    """
    line, stretches, samples = waves.line, waves.stretches, waves.samples
    first, last = (np.rint(edges[f"padding_{side}"] * rate).astype(int) for side in SIDES)
    least, most = line.starts + first + size, line.ends - last - size
    owner = waves.drawn.owner
    inside = (stretches.starts >= least[owner]) & (stretches.ends <= most[owner])
    rows, begins, runs = runs_of(still & inside, waves.drawn)
    for clip, run, n in zip(rows.tolist(), begins.tolist(), runs.tolist(), strict=True):
        begin, end = int(stretches.starts[run]), int(stretches.ends[run + n - 1])
        value = scaled(samples[:, begin])
        if np.any((value == waves.tops[:, clip]) != (value == waves.bottoms[:, clip])):
            continue
        # The stretches beside it are not constant: it ends within them.
        begin -= _constant_length(samples[:, stretches.starts[run - 1] : begin + 1][:, ::-1]) - 1
        end += _constant_length(samples[:, end - 1 : stretches.ends[run + n]]) - 1
        if least[clip] <= begin and end <= most[clip]:
            yield clip, begin, end


def _hole_level(samples: np.ndarray, begin: int, end: int, size: int) -> float:
    """Return the level of the quieter side of a hole, in dBFS.

    What does not rise above the clip's own steps, coarse ones of 8 bits, is as good as still.
    """
    sides = scaled(np.stack([samples[:, begin - size : begin][:, ::-1],
                             samples[:, end : end + size]], axis=1))  # fmt: skip
    steps = np.abs(np.diff(sides, axis=-1))
    step = steps.min(initial=np.inf, where=steps > 0)
    level = float(_edge_levels(sides).min())
    return level if level > 20 * np.log10(step) else FLOOR_DB


def _edge_levels(frames: np.ndarray) -> np.ndarray:
    """Return the levels, in dBFS, of the first parts of frames (outermost sample first).

    Frames are of shape (n_channels, ..., n_samples), levels (..., 3).
    """
    frames = centred(frames)
    squares = np.einsum("c...,c...->...", frames, frames)
    lengths = [max(1, round(share * frames.shape[-1])) for share in ONSET_SHARES]
    powers = [np.add.reduce(squares[..., :n], axis=-1) / (n * len(frames)) for n in lengths]
    return decibels(np.stack(powers, axis=-1))


def _padding(channels: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Return how many samples at the beginning and end of each clip are exactly constant."""
    first, last = np.zeros((2, len(line.lengths)), int)
    if line.lengths.min() < 2:
        return first, last
    repeats = (channels[:, line.starts] == channels[:, line.starts + 1]).all(axis=0)
    for clip in repeats.nonzero()[0]:  # all constant: no padding
        first[clip] = _constant_length(channels[:, line.slices[clip]]) % line.lengths[clip]
    repeats = (channels[:, line.ends - 1] == channels[:, line.ends - 2]).all(axis=0)
    for clip in repeats.nonzero()[0]:
        last[clip] = _constant_length(channels[:, line.slices[clip]][:, ::-1]) % line.lengths[clip]
    return first, last


def _constant_length(channels: np.ndarray) -> int:
    """Return how many frames at the beginning are equal; channels of shape (n, n_frames)."""
    differs = (channels != channels[:, :1]).any(axis=0)
    place = int(differs.argmax())
    return place if differs[place] else len(differs)
