"""Gaps between the values of samples, which a clip has that was made louder after recording."""

from collections.abc import Sequence

import numpy as np

#: Steps of 16 bits on either side of a clip's mean that are looked at; its quiet parts fill them.
NEAREST = 16

#: Samples from the beginning that are looked at: few words begin sooner than their room is heard.
FIRST = 2_048


def used_steps(clips: Sequence[np.ndarray], offsets: np.ndarray) -> np.ndarray:
    """Return which share of the steps around each clip's mean occurs.

    A microphone's converter uses every step, twice the gain leaves every second one out, however
    loud the clip is. Lossy codecs and made-softer clips leave no gaps; 8 bits do, and so do
    silence, a dead channel and what is too soft to reach NEAREST steps.

    Parameters
    ----------
    clips : sequence of int16 ndarray of shape (n_samples, n_channels)
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
    >>> used_steps([every, 2 * every], np.zeros(2)).round(2).tolist()
    [1.0, 0.52]
    """
    steps = 2 * NEAREST + 1
    shifts = NEAREST - np.rint(offsets * 32_768)
    used, seen = [], []
    for clip, shift in zip(clips, shifts.astype(int).astype(np.int16), strict=True):
        above = (clip[:FIRST, 0] + shift).view(np.uint16)  # what lies below wraps to the far top
        near = above[above < steps]
        used.append(np.count_nonzero(np.bincount(near)))
        seen.append(len(near))
    expected = steps * (1 - (1 - 1 / steps) ** np.array(seen))
    return np.where(expected > 0, np.minimum(used / np.maximum(expected, 1), 1), 1)
