"""Words made of tones, and what is measured and doubted of them."""

import io

import numpy as np
import soundfile

from mlcore.sound_checks import SoundDoubt, check_sound
from mlcore.sounds import measure_sound

RATE = 16_000


def word(seed: int = 0) -> np.ndarray:
    """Two voiced syllables in the middle of a second, in soft noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    sound = rng.normal(0, 0.002, RATE)
    for centre, pitch in ((0.4, 130.0), (0.62, 170.0)):
        envelope = np.exp(-(((time - centre) / 0.07) ** 2))
        for harmonic in range(1, 9):
            sound += 0.1 * envelope * np.sin(2 * np.pi * pitch * harmonic * time) / harmonic
    return sound


def kinds(doubts: list[SoundDoubt]) -> list[str]:
    return [doubt.kind for doubt in doubts]


def measured(sound: np.ndarray, *, rate: int = RATE, subtype: str = "PCM_16") -> dict[str, object]:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format="WAV", subtype=subtype)
    return dict(measure_sound(stream.getvalue(), "a.wav").facts)


def doubts_about(sound: np.ndarray, **context: float) -> list[SoundDoubt]:
    """Judge a clip of 16-bit steps at `RATE`."""
    return check_sound(measured(sound), **context)
