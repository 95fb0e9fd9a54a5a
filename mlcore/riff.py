"""The header of a WAV file, read by hand, because readers hide what it gets wrong."""

import struct
from typing import NamedTuple

import numpy as np

#: Lengths that programs write when they do not know the length yet (ffmpeg, sox, arecord).
_UNKNOWN_LENGTHS = frozenset({0, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFFDB, 0xFFFFFFFF, 0xFFFFFFDB})


#: Chunks that may follow an empty sound chunk; anything else there is sound.
_OTHER_CHUNKS = frozenset({b"LIST", b"fact", b"bext", b"cue ", b"smpl", b"id3 ", b"ID3 ", b"junk"})

MOST_CHUNKS = 1_000
"""Chunks looked at before the sound; real files have a few, rubbish of empty ones has millions."""


class WavHeader(NamedTuple):
    """Where the sound starts, how many bytes of it the header claims, how many there are.

    `is_pcm16` says that the sound is plain 16-bit samples, one frame after the other.
    """

    start: int
    claimed: int
    present: int
    bytes_a_second: int
    open_ended: bool
    channels: int = 0
    rate: int = 0
    is_pcm16: bool = False


def read_wav_header(content: bytes) -> WavHeader | None:
    """Walk the chunks of a RIFF WAVE file up to its sound.

    Parameters
    ----------
    content : bytes
        The whole file.

    Returns
    -------
    WavHeader or None
        None where MOST_CHUNKS hold no sound, or the file is RF64 or big-endian.

    Examples
    --------
    >>> read_wav_header(pcm16_wav(np.zeros((8, 1)), 8000)[:-6])
    WavHeader(start=44, claimed=16, present=10, bytes_a_second=16000, open_ended=False, \
channels=1, rate=8000, is_pcm16=True)
    """
    if content[:4] != b"RIFF":
        return None
    at, shape = 12, (0, 0, 0, 0, 0, 0)
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(content):
            break
        mark, length = struct.unpack_from("<4sI", content, at)
        at += 8
        if mark == b"fmt " and at + 16 <= len(content):
            shape = struct.unpack_from("<HHIIHH", content, at)
        if mark == b"data":
            present = min(length, len(content) - at)
            unknown = length in _UNKNOWN_LENGTHS and len(content) > at
            unknown = unknown and content[at : at + 4] not in _OTHER_CHUNKS
            tag, channels, rate, bytes_a_second, frame_bytes, bits = shape
            is_pcm16 = (tag, bits) == (1, 16) and frame_bytes == 2 * channels
            return WavHeader(at, length, present, bytes_a_second, unknown, channels, rate, is_pcm16)
        at += length + length % 2
    return None


def closed_wav(content: bytes, header: WavHeader) -> bytes:
    """Return the file with the lengths that its header lacks."""
    sound = struct.pack("<I", len(content) - header.start)
    whole = struct.pack("<I", len(content) - 8)
    return b"RIFF" + whole + content[8 : header.start - 4] + sound + content[header.start :]


def pcm16_wav(samples: np.ndarray, rate: int) -> bytes:
    """Return samples as a 16-bit PCM WAV file.

    Parameters
    ----------
    samples : float ndarray of shape (n_frames, n_channels)
        Full scale is 1; more is clipped.
    rate : int
        Samples a second and channel.
    """
    steps = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return wav_of_steps(steps, channels=samples.shape[1], rate=rate)


def wav_of_steps(steps: bytes, *, channels: int, rate: int) -> bytes:
    """Return little-endian 16-bit samples, frame after frame, as a WAV file."""
    return plain_header(len(steps), channels=channels, rate=rate) + steps


def plain_header(length: int, *, channels: int, rate: int) -> bytes:
    """Return the 44 bytes before so many bytes of 16-bit samples in a WAV of nothing else."""
    shape = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    form = b"WAVEfmt " + struct.pack("<I", 16) + shape + b"data" + struct.pack("<I", length)
    return b"RIFF" + struct.pack("<I", len(form) + length) + form
