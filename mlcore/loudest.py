"""The loudest stretch of a clip: where it begins, exactly, and a sound file of it alone."""

import io
from dataclasses import dataclass

import numpy as np

from mlcore.clips import decode_sound, sixteen_bit_steps
from mlcore.riff import wav_of_steps

ENERGY_BITS = 63
"""Bits that the energy of one window may take: sums are kept modulo 2 ** 64, where differences
of two of them stay exact however long the clip is."""


@dataclass(frozen=True)
class Cut:
    """A stretch of a clip as a file; `start` and `frames` count samples of one channel."""

    content: bytes
    start: int
    frames: int
    rate: int


def loudest_start(samples: np.ndarray, *, frames: int) -> int:
    """Return where the window with the greatest energy begins.

    Energy is the sum of squares over the window and all channels. Every start is looked at, the
    last one as well, in whole numbers, so that no sum is rounded, however long the clip is.
    Samples of 16 bits are taken as they are, finer ones at least to 22 bits below the peak
    (a second of 48 kHz in two channels; more for a smaller window).

    Parameters
    ----------
    samples : float ndarray of shape (n_frames, n_channels)
        At least one frame; finite.
    frames : int
        Length of the window, at least 1; a clip that is no longer is its own window.

    Returns
    -------
    int
        0 to n_frames - frames; of windows that are equally loud the earliest.

    Examples
    --------
    >>> loudest_start(np.array([[0.0], [0.5], [-0.5], [0.25], [0.5]]), frames=2)
    1
    """
    if frames < 1 or samples.ndim != 2 or not len(samples):
        raise ValueError("a window has at least one frame, a clip frames and channels")
    if len(samples) <= frames:
        return 0
    steps = _whole_numbers(samples, most=frames * samples.shape[1])
    energy = np.square(steps).astype(np.uint64).sum(axis=1, dtype=np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(energy, dtype=np.uint64)])
    return int(np.argmax(sums[frames:] - sums[:-frames]))


def _whole_numbers(samples: np.ndarray, *, most: int) -> np.ndarray:
    """Scale by the greatest power of two with which `most` squares of the peak stay in bounds."""
    peak = float(np.abs(samples).max())
    if peak == 0:
        return np.zeros(samples.shape, np.int64)
    _, above = np.frexp(peak)  # the peak is below 2 ** above
    bits = (ENERGY_BITS - (most - 1).bit_length()) // 2
    return np.rint(np.ldexp(samples.astype(np.float64), bits - int(above))).astype(np.int64)


def cut_to_loudest(content: bytes, *, seconds: float = 1.0) -> Cut | None:
    """Cut a sound file to its loudest stretch; no sample is changed.

    Parameters
    ----------
    content : bytes
        The whole file, in any format that `mlcore.sounds` reads.
    seconds : float
        Length of the stretch, rounded to whole samples.

    Returns
    -------
    Cut or None
        A WAV file: 16-bit where the samples are, else 32-bit floats. None where the clip is not
        longer than the stretch.

    Raises
    ------
    mlcore.files.UnusableFile
        As `mlcore.sounds.measure_sound` does.
    """
    clip = decode_sound(content)
    frames = max(1, round(seconds * clip.rate))
    if len(clip.samples) <= frames:
        return None
    start = loudest_start(clip.samples, frames=frames)
    return Cut(_wav(clip.samples[start : start + frames], clip.rate), start, frames, clip.rate)


def _wav(samples: np.ndarray, rate: int) -> bytes:
    steps = sixteen_bit_steps(samples)
    if steps is not None:
        return wav_of_steps(steps, channels=samples.shape[1], rate=rate)
    import soundfile  # loads libsndfile; plain clips do without

    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="WAV", subtype="FLOAT")
    return written.getvalue()
