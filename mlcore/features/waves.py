"""Sound features: MFCC statistics over time, and YAMNet where its file is present."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlcore.alignment import SIDE
from mlcore.clips import decode_sound

RATE = 16_000
"""Hz; what YAMNet takes, and enough for speech."""
MOST_SECONDS = 60
"""The middle of longer sounds is described."""
COEFFICIENTS = 20
SEGMENTS = 5
FRAME = 512
HOP = 160
"""Samples at 16 kHz: frames of 32 ms every 10 ms, usual for speech."""
BANDS = 64
SHORTEST = SEGMENTS * HOP
SOUND_DECIBELS = 20.0
"""The sound lasts from the first to the last frame this close to the loudest one. Words start
anywhere in a clip; segments of the word, not of the clip, say what is alike."""
SOUND_MARGIN = 5
"""Frames of 10 ms kept on both sides, for soft consonants."""
QUIETEST_DECIBELS = 80.0
"""Levels further below the loudest frame count as silence (librosa's own default)."""
LEAST_POWER = 1e-12
"""Band power of a clip below which nothing is recorded: far under one step of 24 bits."""
MFCC_DIMENSIONS = SEGMENTS * COEFFICIENTS * 2

PICTURE_RANGE_DECIBELS = 50.0
"""Below the loudest point of a clip's spectrogram all is the same; codecs drop it."""

YAMNET_WINDOW = 15_600
"""Samples that YAMNet takes at once (0.975 s)."""
YAMNET_HOP = 7_800
YAMNET_MOST_WINDOWS = 20
"""A minute is heard in 20 windows spread evenly instead of 122: 6 times as fast."""
YAMNET_DIMENSIONS = 1024


def read_wave(content: bytes) -> np.ndarray:
    """Decode a sound to one channel at 16 kHz.

    Parameters
    ----------
    content : bytes
        The original file.

    Returns
    -------
    float32 ndarray of shape (n_samples,)
        1.0 is full scale; at least SHORTEST and at most MOST_SECONDS long.

    Raises
    ------
    mlcore.files.UnusableFile
    """
    clip = decode_sound(content)
    wave = _middle(clip.samples.mean(axis=1), MOST_SECONDS * clip.rate)
    if clip.rate != RATE:
        import librosa

        wave = librosa.resample(wave, orig_sr=clip.rate, target_sr=RATE, res_type="soxr_mq")
    padding = max(SHORTEST - len(wave), 0)
    return np.pad(wave, (0, padding)).astype(np.float32)


def _middle(wave: np.ndarray, most: int) -> np.ndarray:
    start = max(len(wave) - most, 0) // 2
    return wave[start : start + most]


def mfcc_statistics(wave: np.ndarray) -> np.ndarray:
    """Return mean and spread of 20 MFCC in 5 segments of equal length of the sound in a clip.

    Parameters
    ----------
    wave : float ndarray of shape (n_samples,)
        At 16 kHz, at least SHORTEST long.

    Returns
    -------
    float32 ndarray of shape (MFCC_DIMENSIONS,)
        Segment by segment: 20 means, 20 standard deviations. The first coefficient, loudness,
        is relative to the clip's loudest frame, so that the level of a recording, or of a
        microphone, plays no part.
    """
    import librosa

    bands = _sounding(_relative_bands(wave), margin=SOUND_MARGIN)
    levels = librosa.power_to_db(bands, top_db=QUIETEST_DECIBELS)
    coefficients = librosa.feature.mfcc(S=levels, n_mfcc=COEFFICIENTS)
    coefficients[0] -= coefficients[0].max()
    parts = np.array_split(coefficients, SEGMENTS, axis=1)
    statistics = [np.concatenate([part.mean(axis=1), part.std(axis=1)]) for part in parts]
    return np.concatenate(statistics).astype(np.float32)


def spectrogram_picture(wave: np.ndarray) -> np.ndarray:
    """Return the sound in a clip as a small picture, by which copies of it are known.

    Shifted, louder and re-encoded copies have nearly the same one: it begins and ends with the
    sound, without margin, for there may be nothing to show before the first word.

    Parameters
    ----------
    wave : float ndarray of shape (n_samples,)
        At 16 kHz, at least SHORTEST long.

    Returns
    -------
    float32 ndarray of shape (SIDE * SIDE,)
        Level of mel bands (rows) over the length of the sound (columns), in units of
        PICTURE_RANGE_DECIBELS below the loudest, -1 to 0; all 0 where nothing was recorded.
    """
    bands = _sounding(_relative_bands(wave), margin=0)
    floor = 10 ** (-PICTURE_RANGE_DECIBELS / 10)
    levels = 10 / PICTURE_RANGE_DECIBELS * np.log10(np.maximum(bands, floor))
    grown = Image.fromarray(levels.astype(np.float32))
    return np.asarray(grown.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32).ravel()


def _relative_bands(wave: np.ndarray) -> np.ndarray:
    """Return the power of mel bands, (BANDS, n_frames), relative to the greatest."""
    import librosa

    power = np.abs(librosa.stft(wave, n_fft=FRAME, hop_length=HOP)) ** 2
    bands = _mel_bands() @ power
    return np.asarray(bands / max(float(bands.max()), LEAST_POWER))


def _sounding(bands: np.ndarray, *, margin: int) -> np.ndarray:
    """Leave out frames before and after the sound; `bands` is (n_bands, n_frames), power."""
    power = bands.sum(axis=0)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-SOUND_DECIBELS / 10))
    return bands[:, max(loud[0] - margin, 0) : loud[-1] + 1 + margin]


@lru_cache(maxsize=1)
def _mel_bands() -> np.ndarray:
    """Return the mel filters; librosa makes them anew at each call, 2 ms."""
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=FRAME, n_mels=BANDS)


def yamnet_embedding(wave: np.ndarray, *, weights: Path) -> np.ndarray:
    """Return the mean of what YAMNet hears in windows of 0.975 s.

    Parameters
    ----------
    wave : float ndarray of shape (n_samples,)
        At 16 kHz.
    weights : Path
        YAMNet as a LiteRT file that takes 15,600 samples.

    Returns
    -------
    float32 ndarray of shape (1024,)
        The input of the network's last layer, averaged over windows.
    """
    interpreter, entry, embedding = _yamnet(weights)
    heard = []
    for start in _window_starts(len(wave)):
        window = wave[start : start + YAMNET_WINDOW]
        interpreter.set_tensor(entry, np.pad(window, (0, YAMNET_WINDOW - len(window))))
        interpreter.invoke()
        heard.append(interpreter.get_tensor(embedding).ravel())
    return np.stack(heard).mean(axis=0)


def _window_starts(n_samples: int) -> np.ndarray:
    last = max(n_samples - YAMNET_WINDOW, 0)
    n_windows = min(last // YAMNET_HOP + 1, YAMNET_MOST_WINDOWS)
    return np.linspace(0, last, n_windows).astype(int) if n_windows > 1 else np.array([0])


@lru_cache(maxsize=1)
def _yamnet(weights: Path) -> tuple[Any, int, int]:
    """Return interpreter, input and embedding: the input of the last fully connected layer."""
    from mlcore.features.network import lite_interpreter

    # Without `preserve` the embedding's memory is used again before it can be read.
    interpreter = lite_interpreter(model_path=str(weights), experimental_preserve_all_tensors=True)
    layers = [
        layer for layer in interpreter._get_ops_details() if layer["op_name"] == "FULLY_CONNECTED"
    ]
    embedding = int(layers[-1]["inputs"][0])
    return interpreter, interpreter.get_input_details()[0]["index"], embedding
