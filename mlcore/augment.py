"""Make changed copies of pictures and sounds that a person would still call the same.

A copy is a file like the original, so what describes originals describes copies, and a page
shows or plays what the model learns from.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mlcore.features.pixels import decode_upright
from mlcore.features.waves import RATE, read_wave
from mlcore.protocols import BRIGHTNESS, CHANGES, CROP, FLIP, NOISE, PITCH, SHIFT, STRETCH
from mlcore.riff import pcm16_wav

SIDE = 256
"""Longest of the shorter sides that copies keep, in pixels: above what any backbone looks at."""
LEAST_KEPT = 0.8
"""A crop keeps at least this share of width and height."""
FARTHEST = 0.1
"""Shifts go at most this share of width and height; the edge's mirror image fills what opens."""
BRIGHTEST = 1.3
"""Brightness is multiplied by 1 / BRIGHTEST to BRIGHTEST."""
SEMITONES = 2.0
"""Pitch goes up or down by so many at most; voices of men and women are 12 apart."""
FASTEST = 1.15
"""A sound is played at 1 / FASTEST to FASTEST times its speed, at its pitch."""
NOISE_DECIBELS = (15.0, 30.0)
"""White noise lies so far below the sound's own mean power."""
VERSION = 1
"""Goes up with every change here that makes other copies: their vectors are kept by it."""
TRANSFORM = 512
"""Samples of one window of the phase vocoder: 32 ms at 16 kHz."""


def augmented(content: bytes, changes: Sequence[str], *, rng: np.random.Generator) -> bytes:
    """Return a copy of one picture or sound with all of these changes by random amounts.

    Parameters
    ----------
    content : bytes
        The original file.
    changes : sequence of str
        Of one of CHANGES; done in the order that stands there. A flip happens to every second
        copy.
    rng : Generator
        The same state gives the same copy.

    Returns
    -------
    bytes
        A PNG, whose shorter side is at most SIDE pixels, or a WAV of one channel at 16 kHz.

    Raises
    ------
    mlcore.files.UnusableFile
    ValueError
        If no kind of media has all of these changes.
    """
    media = next((name for name, known in CHANGES.items() if set(changes) <= set(known)), None)
    if not changes or media is None:
        raise ValueError(f"These changes do not go together: {', '.join(changes) or 'none'}.")
    ordered = [change for change in CHANGES[media] if change in changes]
    if media == "image":
        return _picture_file(_changed(_small(content), ordered, _OF_PICTURES, rng))
    wave = _changed(read_wave(content), ordered, _OF_SOUNDS, rng)
    return pcm16_wav(wave[:, None], RATE)


def mirrored(content: bytes) -> bytes:
    """Return a picture as a mirror shows it, as a PNG."""
    return _picture_file(ImageOps.mirror(_small(content)))


def rng_of(sha256: str) -> np.random.Generator:
    """Return the randomness of the copy of one content: the same on any machine and day.

    Examples
    --------
    >>> bool(rng_of("ab" * 32).random() == rng_of("ab" * 32).random())
    True
    """
    return np.random.default_rng(int(sha256, 16))


def _changed(
    made: Any, changes: list[str], ways: dict[str, Callable[..., Any]], rng: np.random.Generator
) -> Any:
    for change in changes:
        made = ways[change](made, rng)
    return made


def _small(content: bytes) -> Image.Image:
    picture = decode_upright(content, SIDE)
    shrink = SIDE / min(picture.size)
    if shrink >= 1:
        return picture
    width, height = (max(1, round(side * shrink)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _picture_file(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _flip(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(picture) if rng.random() < 0.5 else picture


def _crop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    kept = rng.uniform(LEAST_KEPT, 1)
    width, height = (max(1, round(side * kept)) for side in picture.size)
    left = int(rng.integers(picture.width - width + 1))
    top = int(rng.integers(picture.height - height + 1))
    return picture.crop((left, top, left + width, top + height))


def _shift(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture)
    down, right = (round(rng.uniform(-FARTHEST, FARTHEST) * side) for side in pixels.shape[:2])
    edges = ((abs(down), abs(down)), (abs(right), abs(right)), (0, 0))
    padded = np.pad(pixels, edges, mode="symmetric")
    top, left = abs(down) - down, abs(right) - right
    return Image.fromarray(padded[top:, left:][: pixels.shape[0], : pixels.shape[1]])


def _brighten(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = BRIGHTEST ** rng.uniform(-1, 1)
    return picture.point([min(round(value * factor), 255) for value in range(256)] * 3)


def _repitch(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretch, then play faster or slower: as long as before, higher or lower."""
    import librosa

    ratio = 2 ** (rng.uniform(-SEMITONES, SEMITONES) / 12)
    longer = _stretched(wave, 1 / ratio)
    again = librosa.resample(longer, orig_sr=RATE * ratio, target_sr=RATE, res_type="soxr_mq")
    return librosa.util.fix_length(again, size=len(wave))


def _retime(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _stretched(wave, FASTEST ** rng.uniform(-1, 1))


def _stretched(wave: np.ndarray, rate: float) -> np.ndarray:
    import librosa

    return librosa.effects.time_stretch(wave, rate=rate, n_fft=TRANSFORM)


def _add_noise(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    power = float(np.mean(np.square(wave)))
    level = np.sqrt(power * 10 ** (-rng.uniform(*NOISE_DECIBELS) / 10))
    return wave + level * rng.standard_normal(len(wave)).astype(np.float32)


_OF_PICTURES = {FLIP: _flip, CROP: _crop, SHIFT: _shift, BRIGHTNESS: _brighten}
_OF_SOUNDS = {PITCH: _repitch, STRETCH: _retime, NOISE: _add_noise}
