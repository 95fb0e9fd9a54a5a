"""Planted faults of sound are named; soft speech, loud clips and good tones are left alone."""

import io
import os
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlcore.sound_checks import SoundDoubt, check_sound
from mlcore.sounds import measure_sound

SHARED = Path(
    os.environ.get("WINNOW_SHARED", Path(__file__).resolve().parents[2].parent / "shared")
)
RATE = 16_000


def doubts_about(sound: np.ndarray, **context: float) -> list[SoundDoubt]:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        scaled = np.clip(np.round(sound * 32767), -32768, 32767)
        file.writeframes(scaled.astype("<i2").tobytes())
    return check_sound(measure_sound(stream.getvalue(), "a.wav").facts, **context)


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


@pytest.mark.parametrize("seed", range(5))
def test_a_word_is_left_alone_however_soft_or_loud(seed: int) -> None:
    sound = word(seed)
    for level in (1.0, 0.01, 0.95 / np.abs(sound).max()):
        assert doubts_about(sound * level, typical_seconds=1.0) == []


def test_silence_of_three_sorts_is_named() -> None:
    rng = np.random.default_rng(1)
    for sound in (np.zeros(RATE), rng.normal(0, 3e-4, RATE), rng.normal(0, 0.1, RATE)):
        assert kinds(doubts_about(sound)) == ["silent_audio"]


@pytest.mark.parametrize("drive", [3.0, 8.0])
@pytest.mark.parametrize("turned_down", [1.0, 0.5])
def test_clipping_is_named_also_when_it_was_turned_down_later(
    drive: float, turned_down: float
) -> None:
    sound = word()
    clipped = np.clip(sound / np.abs(sound).max() * drive, -1, 1) * turned_down
    assert kinds(doubts_about(clipped)) == ["clipped_audio"]


def test_a_word_cut_at_its_start_or_end_is_named() -> None:
    sound = word()
    for cut in (sound[int(0.4 * RATE) :], sound[: int(0.62 * RATE)]):
        assert kinds(doubts_about(cut)) == ["cut_audio"]


def test_a_cut_end_filled_with_zeros_is_still_a_cut() -> None:
    sound = word()
    sound[int(0.62 * RATE) :] = 0.0
    assert kinds(doubts_about(sound)) == ["cut_audio"]


def test_a_clip_much_shorter_than_the_others_is_doubted_only_where_lengths_are_alike() -> None:
    sound = word()[int(0.2 * RATE) : int(0.8 * RATE)]
    assert doubts_about(sound) == []
    assert kinds(doubts_about(sound, typical_seconds=1.2)) == ["cut_audio"]


def test_real_words_are_not_called_silent() -> None:
    path = SHARED / "data" / "arabic_speech_commands" / "audio.zip"
    if not path.exists():
        pytest.skip(f"real recordings are absent: set WINNOW_SHARED (looked for {path})")
    found: list[str] = []
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".wav")]
        for name in names:
            found += kinds(check_sound(measure_sound(archive.read(name), name).facts))
    assert found.count("silent_audio") == 0
    assert len(found) <= 0.01 * len(names)
