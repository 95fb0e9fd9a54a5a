"""Gaps between the values of samples, which a clip has that was made louder after recording."""

import numpy as np

from mlcore.lines import Line
from mlcore.waveforms import Waves

#: Steps of 16 bits on either side of a clip's mean that are looked at; its quiet parts fill them.
NEAREST = 16

#: Samples from the beginning that are looked at: few words begin sooner than their room is heard.
FIRST = 2_048


def used_steps(waves: Waves, offsets: np.ndarray) -> np.ndarray:
    """Return which share of the steps around each clip's mean occurs.

    A microphone's converter uses every step, twice the gain leaves every second one out, however
    loud the clip is. Lossy codecs and made-softer clips leave no gaps; 8 bits do, and so do
    silence, a dead channel and what is too soft to reach NEAREST steps.

    Parameters
    ----------
    waves : Waves of int16
        The first channel is looked at.
    offsets : ndarray of shape (n_clips,)
        Mean of each clip's first channel, full scale 1.

    Returns
    -------
    float ndarray of shape (n_clips,)
        0 to 1, relative to how many steps as many samples would hit, were all alike likely; 1
        where no sample lies there.

    Examples
    --------
    >>> every = np.arange(-40, 40, dtype=np.int16).repeat(9)[:, None]
    >>> used_steps(Waves.of([every, 2 * every]), np.zeros(2)).round(2).tolist()
    [1.0, 0.52]
    """
    steps, line = 2 * NEAREST + 1, Line.of(np.minimum(waves.line.lengths, FIRST))
    shifts = (NEAREST - np.rint(offsets * 32_768)).astype(int).astype(np.int16)
    firsts = np.concatenate([waves.samples[0, one][:FIRST] for one in waves.line.slices])
    above = (firsts + np.repeat(shifts, line.lengths)).view(np.uint16)  # what lies below wraps
    marks = np.left_shift(np.uint64(1), above)  # one bit a step; 0 above all of these
    used = np.bitwise_count(np.bitwise_or.reduceat(marks, line.starts) & ((1 << steps) - 1))
    seen = np.add.reduceat((above < steps).view(np.uint8), line.starts, dtype=np.uint16)
    expected = steps * (1 - (1 - 1 / steps) ** seen)
    return np.where(expected > 0, np.minimum(used / np.maximum(expected, 1), 1), 1)
