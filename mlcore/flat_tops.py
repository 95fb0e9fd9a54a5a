"""Clipping of many clips at once: samples at full scale, and flat tops at a clip's own peak."""

from math import pi

import numpy as np

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


def clipping_facts(channels: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Count samples at full scale and runs at each clip's own greatest and least sample.

    Parameters
    ----------
    channels : float32 ndarray of shape (n_clips, n_channels, n_samples)
    rate : int
        Samples a second.

    Returns
    -------
    dict
        Arrays of n_clips: peak, clipped_samples, clipped_share, longest_clipped_run,
        flat_top_share, longest_flat_top, flat_tops, as `levels.level_facts` explains.
    """
    clips, lines, samples = channels.shape
    waves = channels.reshape(-1, samples)
    low, top = waves.min(axis=1), waves.max(axis=1)
    peak = np.maximum(-low, top)
    full = (peak >= CLIPPED_AT).nonzero()[0]
    clipped = longest_clipped = np.zeros(clips, int)
    if len(full):
        rows, runs = runs_of(np.abs(waves[full]) >= CLIPPED_AT)
        clipped, longest_clipped = _totals(full[rows] // lines, runs, clips, least=1)
    height = np.stack([top, -low], axis=1).astype(np.float64)
    near = FLAT_STEP + FLAT_SHARE * height
    # Compared in the samples' own precision, a third of the time; half a step is far coarser.
    limit = np.where(height > 0, height - near, np.inf).astype(np.float32)
    marked = np.empty((len(waves), 2, samples), bool)
    np.greater_equal(waves, limit[:, :1], out=marked[:, 0])
    np.less_equal(waves, -limit[:, 1:], out=marked[:, 1])
    rows, runs = runs_of(marked.reshape(-1, samples))
    owner = rows // (2 * lines)
    flat, longest = _totals(owner, runs, clips, least=LEAST_FLAT_RUN)
    crest = _crest((near.ravel()[rows] + STEP) / height.ravel()[rows], rate)
    tops = np.bincount(owner[runs > crest], minlength=clips)
    return {
        "peak": peak.reshape(clips, lines).max(axis=1),
        "clipped_samples": clipped,
        "clipped_share": clipped / (lines * samples),
        "longest_clipped_run": longest_clipped,
        "flat_top_share": flat / (lines * samples),
        "longest_flat_top": longest,
        "flat_tops": tops,
    }


def _totals(
    owner: np.ndarray, runs: np.ndarray, clips: int, *, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each clip's samples in runs of a least length, and its longest run; 0 for none."""
    total, longest = np.zeros((2, clips), int)
    if len(runs):
        starts = np.append(0, (owner[1:] != owner[:-1]).nonzero()[0] + 1)
        total[owner[starts]] = np.add.reduceat(np.where(runs >= least, runs, 0), starts)
        longest[owner[starts]] = np.maximum.reduceat(runs, starts)
    return total, longest


def runs_of(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and lengths of all runs of True, row by row.

    Examples
    --------
    >>> rows, lengths = runs_of(np.array([[True, False, True], [True, True, False]]))
    >>> rows.tolist(), lengths.tolist()
    ([0, 0, 1], [1, 1, 2])
    """
    places = np.flatnonzero(marked)
    columns = places % marked.shape[1]
    begins = np.ones(len(places), bool)
    np.greater(places[1:] - places[:-1], 1, out=begins[1:])
    begins |= columns == 0
    starts = begins.nonzero()[0]
    lengths = np.empty(len(starts), int)
    lengths[:-1] = starts[1:] - starts[:-1]
    lengths[-1:] = len(places) - starts[-1:]
    return places[starts] // marked.shape[1], lengths


def _crest(share: np.ndarray, rate: int) -> np.ndarray:
    """Return the most samples that an unclipped tone stays within a share of its peak.

    cos x is 1 - x**2 / 2 near its top.
    """
    return np.ceil(2 * np.sqrt(2 * share) * rate / (2 * pi * LOWEST_PITCH))
