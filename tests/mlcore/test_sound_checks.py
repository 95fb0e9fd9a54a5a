"""What is no word is named silent; soft speech, loud clips and good tones are left alone."""

import zipfile

import numpy as np
import pytest

from mlcore.levels import level_facts
from mlcore.sound_checks import check_sound
from mlcore.sounds import measure_sound
from mlcore.waveforms import Waves
from tests.mlcore.spoken import RATE, doubts_about, kinds, measured, word
from tests.shared import shared_path


@pytest.mark.parametrize("seed", range(5))
def test_a_word_is_left_alone_however_soft_or_loud(seed: int) -> None:
    sound = word(seed)
    for level in (1.0, 0.01, 0.95 / np.abs(sound).max()):
        assert doubts_about(sound * level, typical_seconds=1.0) == []


def test_silence_of_three_sorts_is_named() -> None:
    rng = np.random.default_rng(1)
    for sound in (np.zeros(RATE), rng.normal(0, 3e-4, RATE), rng.normal(0, 0.1, RATE)):
        assert kinds(doubts_about(sound)) == ["silent_audio"]


def vowel(seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    swell = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    return 0.1 * swell * sum(np.sin(2 * np.pi * 140 * h * time) / h for h in range(1, 9))


def test_a_short_vowel_is_no_noise_and_short_noise_is() -> None:
    assert "silent_audio" not in kinds(doubts_about(vowel(0.25)))
    noise = np.random.default_rng(2).normal(0, 0.1, RATE // 4)
    assert kinds(doubts_about(noise)) == ["silent_audio"]


def coloured_noise(slope: float, samples: int, *, seed: int) -> np.ndarray:
    """White, pink or brown noise (slope 0, 0.5, 1) of power 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=samples))
    noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 40) ** slope, samples)
    return noise / noise.std()


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_noise_in_place_of_a_word_is_named_whatever_its_colour(slope: float, seed: int) -> None:
    sound = word(seed)
    inside = slice(int(0.3 * RATE), int(0.75 * RATE))
    burst = coloured_noise(slope, len(sound[inside]), seed=seed)
    sound[inside] = sound[inside].std() * burst
    assert kinds(doubts_about(sound)) == ["silent_audio"]
    everywhere = 0.1 * coloured_noise(slope, RATE, seed=seed)
    assert kinds(doubts_about(everywhere)) == ["silent_audio"]


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("begin", [40, 110, 170, 260])
def test_noise_that_begins_and_ends_inside_a_frame_is_noise(slope: float, begin: int) -> None:
    for seed in range(4):
        sound = word(seed)
        inside = slice(int(0.3 * RATE) + begin, int(0.75 * RATE) - begin // 2)
        burst = coloured_noise(slope, len(sound[inside]), seed=seed)
        sound[inside] = sound[inside].std() * burst
        assert kinds(doubts_about(sound)) == ["silent_audio"]


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_word_drowned_in_noise_is_named_and_one_above_it_is_not(slope: float) -> None:
    for seed in range(4):
        sound = word(seed)
        noise = sound.std() * coloured_noise(slope, RATE, seed=seed)
        assert kinds(doubts_about(sound + noise)) == ["silent_audio"]
        assert kinds(doubts_about(sound + 0.1 * noise)) == []


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_word_somewhat_stronger_than_its_noise_is_a_candidate_at_most(slope: float) -> None:
    for seed in range(4):
        sound = word(seed)
        noise = sound.std() * coloured_noise(slope, RATE, seed=seed)
        assert [doubt.is_likely for doubt in doubts_about(sound + 1.6 * noise)] == [True]
        assert not any(doubt.is_likely for doubt in doubts_about(sound + 0.75 * noise))


def test_a_short_tone_in_noise_nearly_as_strong_over_the_whole_clip_is_heard() -> None:
    sounding = np.zeros(RATE)
    time = np.arange(RATE // 4) / RATE
    for hertz in (941, 1336):
        sounding[6000 : 6000 + len(time)] += 0.1 * np.sin(2 * np.pi * hertz * time)
    for seed in range(8):
        noise = 0.8 * sounding.std() * coloured_noise(0.0, RATE, seed=seed)
        assert not any(doubt.is_likely for doubt in doubts_about(sounding + noise))


def test_a_word_60_decibels_softer_is_not_heard() -> None:
    assert kinds(doubts_about(word() / np.abs(word()).max() / 1000)) == ["silent_audio"]


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_word_without_a_pause_is_drowned_by_noise_alone(slope: float) -> None:
    for seed in range(4):
        sound = word(seed)[int(0.33 * RATE) : int(0.78 * RATE)]  # no room before and after
        noise = sound.std() * coloured_noise(slope, len(sound), seed=seed)
        assert "silent_audio" in kinds(doubts_about(sound + noise))
        assert "silent_audio" not in kinds(doubts_about(sound))


def voice(pitch: float, *, seed: int) -> np.ndarray:
    """A quarter of a second of a vowel of power about 1 whose pitch and loudness waver."""
    time = np.arange(RATE // 4) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.06 * np.sin(2 * np.pi * 7 * time))) / RATE
    starts = np.random.default_rng(seed).uniform(0, 6, 8)
    sound = sum(np.sin(h * phase + start) / h for h, start in enumerate(starts, 1))
    return sound / sound.std() * (1 + 0.3 * np.sin(2 * np.pi * 15 * time))


@pytest.mark.parametrize("pitch", [90.0, 140.0, 240.0])
@pytest.mark.parametrize("noise", [0.7, 1.0, 1.2])
def test_the_share_of_a_voice_in_noise_is_measured(pitch: float, noise: float) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sound = 0.1 * (voice(pitch, seed=seed) + noise * rng.normal(size=RATE // 4))
        (facts,) = level_facts(Waves.of([sound.astype(np.float32)[:, None]]), RATE)
        assert facts["harmonicity"] == pytest.approx(1 / (1 + noise**2), abs=0.07)


def test_a_steady_voice_is_heard_without_being_asked_for_its_period() -> None:
    """Its bins jump less than those of noise do, so it is none, whatever its period."""
    for seed in range(3):
        facts = measured(0.1 * voice(140.0, seed=seed))
        assert facts["loud_roughness"] < 0.6
        assert facts["harmonicity"] == 0
        assert "silent_audio" not in kinds(check_sound(facts))


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_noise_of_any_colour_has_no_voice(slope: float) -> None:
    for seed in range(4):
        sound = 0.1 * coloured_noise(slope, RATE // 2, seed=seed)
        (facts,) = level_facts(Waves.of([sound.astype(np.float32)[:, None]]), RATE)
        assert facts["harmonicity"] < 0.5


def test_a_voice_that_fills_the_clip_is_not_called_drowned() -> None:
    """Bins that jump and never fall silent: what a vowel of an eighth of a second may have."""
    facts = {"seconds": 0.2, "above_noise_db": 3.0, "median_above_noise_db": 2.0, "loud_db": -20.0}
    facts |= {"loud_roughness": 0.9, "sway": 2.0, "loud_sway": 2.0, "spectral_flatness": 0.1}
    assert kinds(check_sound({**facts, "harmonicity": 0.5})) == ["silent_audio"]
    assert kinds(check_sound({**facts, "harmonicity": 0.8})) == []


def test_a_short_hum_that_keeps_the_laws_of_noise_is_known_by_its_period() -> None:
    facts = {"seconds": 0.3, "above_noise_db": 15.0, "loud_db": -20.0, "loud_seconds": 0.2}
    facts |= {"loud_sway": 1.2, "loud_evenness": 0.93, "loud_roughness": 0.75}
    assert kinds(check_sound({**facts, "harmonicity": 0.5})) == ["silent_audio"]
    assert kinds(check_sound({**facts, "harmonicity": 0.83})) == []


@pytest.mark.parametrize("rate", [8_000, 44_100])
@pytest.mark.parametrize("level", [0.3, 0.003])
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_hum_of_the_mains_is_no_word_and_not_clipped(
    rate: int, level: float, seconds: float
) -> None:
    tone = level * np.sin(2 * np.pi * 50 * np.arange(int(seconds * rate)) / rate)
    assert kinds(check_sound(measured(tone, rate=rate))) == ["silent_audio"]


@pytest.mark.parametrize(("gain", "used"), [(1.0, 1.0), (2.0, 0.52), (1.41, 0.72), (0.5, 1.0)])
def test_a_clip_that_was_made_louder_leaves_steps_out(gain: float, used: float) -> None:
    recorded = np.round(word() / 4 * 32_768) + 300  # with an offset
    louder = np.round(gain * recorded) / 32_768
    assert measured(louder)["steps_used"] == pytest.approx(used, abs=0.05)


def test_the_offset_of_another_channel_hides_no_step() -> None:
    louder = 2 * np.round(word() / 4 * 32_768) / 32_768
    assert measured(np.stack([louder, louder + 0.1], axis=1))["steps_used"] < 0.6


def test_strong_hum_under_a_word_hides_nothing() -> None:
    time = np.arange(RATE) / RATE
    for seed in range(4):
        sound = word(seed)
        hum = 1.4 * sound.std() * np.sin(2 * np.pi * 50 * time)
        assert "silent_audio" not in kinds(doubts_about(sound + hum))


def test_real_words_are_not_called_silent() -> None:
    path = shared_path("data/arabic_speech_commands/audio.zip")
    found: list[str] = []
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".wav")]
        for name in names:
            found += kinds(check_sound(measure_sound(archive.read(name), name).facts))
    assert found.count("silent_audio") == 0
    assert len(found) <= 0.01 * len(names)
