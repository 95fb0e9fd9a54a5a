"""Planted faults of sound are named; soft speech, loud clips and good tones are left alone."""

import io
import os
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from mlcore.levels import level_facts
from mlcore.sound_checks import TIGHT_SHARE, SoundDoubt, check_sound, tight_share
from mlcore.sounds import measure_sound
from mlcore.waveforms import Waves

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


def test_a_cut_in_a_soft_part_that_holds_a_tenth_of_the_energy_is_named() -> None:
    time = np.arange(RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 150 * h * time) / h for h in range(1, 6))
    loudness = np.exp(-(((time - 0.3) / 0.03) ** 2)) + 0.3 * np.exp(-(((time - 0.6) / 0.12) ** 4))
    sound = 0.2 * loudness * hum + np.random.default_rng(3).normal(0, 3e-4, RATE)
    assert doubts_about(sound) == []
    cut = sound[: int(0.6 * RATE)]  # 10 dB below the loud syllable
    assert kinds(doubts_about(cut)) == ["cut_audio"]
    assert kinds(doubts_about(np.pad(cut, (0, RATE - len(cut))))) == ["cut_audio"]


def test_noise_nearly_as_loud_as_the_sound_cuts_nothing_off() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        hiss = lfilter([1.0], [1.0, -0.98], rng.normal(0, 1, RATE))  # sways more than white noise
        sound = word(seed) + 0.04 * hiss / hiss.std()
        assert "cut_audio" not in kinds(doubts_about(sound))


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


def test_tops_that_are_cut_a_little_are_named_at_any_level() -> None:
    sound = word()
    for depth in (0.8, 0.5, 0.2):
        top = depth * np.abs(sound).max()
        assert kinds(doubts_about(np.clip(sound, -top, top))) == ["clipped_audio"]


@pytest.mark.parametrize("depth", [0.75, 0.5, 0.25])
@pytest.mark.parametrize("side", [1, -1])
def test_a_clip_cut_on_one_side_alone_is_named(depth: float, side: int) -> None:
    sound = side * word()
    for clipped in (
        np.minimum(sound, depth * sound.max()),
        np.minimum(sound, depth * sound.max()) / 7,
    ):
        (doubt,) = doubts_about(side * clipped)
        assert (doubt.kind, doubt.is_likely) == ("clipped_audio", True)


def test_a_few_tops_at_full_scale_are_a_candidate() -> None:
    sound = word() / np.abs(word()).max()
    (doubt,) = doubts_about(np.clip(1.02 * sound, -1, 1))
    assert (doubt.kind, doubt.is_likely) == ("clipped_audio", False)
    assert doubts_about(0.99 * sound) == []


def test_a_short_clip_that_begins_and_ends_softly_is_whole() -> None:
    time = np.arange(RATE // 2) / RATE
    spoken = np.exp(-(((time - 0.25) / 0.06) ** 2)) * np.sin(2 * np.pi * 200 * time)
    assert doubts_about(0.3 * spoken, typical_seconds=1.0) == []
    cut = 0.3 * spoken[: int(0.3 * RATE)]
    assert kinds(doubts_about(cut, typical_seconds=1.0)) == ["cut_audio"]


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


def test_crests_in_the_steps_of_8_bits_are_not_clipping() -> None:
    for hertz in (90, 130, 210):
        tone = 0.15 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)
        steps = np.round(tone * 128) / 128
        assert measured(steps)["flat_tops"] == 0
        top = 0.5 * steps.max() + 0.003
        assert measured(np.clip(steps, -top, top))["flat_tops"] > 10


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_the_coarse_steps_of_telephone_sound_near_its_top_are_not_clipping(subtype: str) -> None:
    time = np.arange(8000) / 8000
    for seed in range(8):
        rng = np.random.default_rng(seed)
        chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(700, 3000, 3))
        swelling = chord * np.sin(np.pi * time)
        swelling *= 0.8 / np.abs(swelling).max()
        assert kinds(check_sound(measured(swelling, rate=8000, subtype=subtype))) == []
        top = 0.5 * np.abs(word(seed)).max()
        cut = measured(np.clip(word(seed), -top, top), subtype=subtype)
        assert kinds(check_sound(cut)) == ["clipped_audio"]


@pytest.mark.parametrize("rate", [8_000, 44_100])
@pytest.mark.parametrize("level", [0.3, 0.003])
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_hum_of_the_mains_is_no_word_and_not_clipped(
    rate: int, level: float, seconds: float
) -> None:
    tone = level * np.sin(2 * np.pi * 50 * np.arange(int(seconds * rate)) / rate)
    assert kinds(check_sound(measured(tone, rate=rate))) == ["silent_audio"]


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_broad_crests_of_soft_low_voices_are_not_clipped(rate: int) -> None:
    time = np.arange(rate) / rate
    swell = np.minimum(2 * np.exp(-(((time - 0.5) / 0.15) ** 2)), 1)
    voice = 0.003 * swell * np.sin(2 * np.pi * 90 * time)
    facts = measured(voice, rate=rate)
    assert facts["flat_top_share"] > 0.002
    assert kinds(check_sound(facts)) == []
    clipped = measured(np.clip(voice, -0.0015, 0.0015), rate=rate)
    assert kinds(check_sound(clipped)) == ["clipped_audio"]


@pytest.mark.parametrize("constant", [0.0, 8 / 32_768, -1 / 32_768])
def test_a_dead_channel_is_not_clipping(constant: float) -> None:
    both = np.stack([word(), np.full(RATE, constant)], axis=1)
    assert kinds(check_sound(measured(both))) == []
    clipped = np.stack([np.clip(word(), -0.1, 0.1), np.full(RATE, constant)], axis=1)
    assert kinds(check_sound(measured(clipped))) == ["clipped_audio"]


def test_eight_bits_are_full_at_their_own_greatest_sample() -> None:
    driven = np.clip(2 * word() / np.abs(word()).max(), -1, 127 / 128)
    facts = measured(driven, subtype="PCM_U8")
    assert facts["clipped_share"] > 0.01
    assert "clipped_audio" in kinds(check_sound(facts))
    assert measured(0.9 * word(), subtype="PCM_U8")["clipped_share"] == 0


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


def test_where_all_clips_are_cut_tight_only_what_stands_out_is_named() -> None:
    sound = word()
    cut = [measured(sound[int(start * RATE) : int(0.75 * RATE)]) for start in (0.36, 0.39, 0.42)]
    tight = [measured(sound[int(0.32 * RATE) : int(0.73 * RATE)])] * 30
    assert tight_share(tight) >= TIGHT_SHARE > tight_share([measured(sound)] * 30)
    assert tight_share(tight[:5]) == 0.0  # too few to speak of a habit
    assert tight_share([measured(sound)] * 30 + cut * 3) == 0.0  # a fifth cut off is no habit
    swelling = {"onset_start_db": -7.0, "onset_end_db": -40.0, "frame_range_db": 30.0}
    assert kinds(check_sound(swelling)) == ["cut_audio"]
    assert kinds(check_sound(swelling, cut_tight=True)) == []
    for facts in cut:
        assert kinds(check_sound(facts, cut_tight=True)) == ["cut_audio"]


def measured(sound: np.ndarray, *, rate: int = RATE, subtype: str = "PCM_16") -> dict[str, object]:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format="WAV", subtype=subtype)
    return dict(measure_sound(stream.getvalue(), "a.wav").facts)


def test_a_clip_much_shorter_than_the_others_is_doubted_only_where_lengths_are_alike() -> None:
    sound = word()[int(0.32 * RATE) : int(0.74 * RATE)]
    assert doubts_about(sound) == []
    assert kinds(doubts_about(sound, typical_seconds=1.2)) == ["cut_audio"]


def test_real_words_that_lost_a_tenth_of_their_energy_are_found() -> None:
    path = SHARED / "data" / "lithuanian_speech_commands" / "audio.zip"
    if not path.exists():
        pytest.skip(f"real recordings are absent: set WINNOW_SHARED (looked for {path})")
    rng, alarms, words, found = np.random.default_rng(4), 0, 0, np.zeros(2, int)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".wav") or "background" in name:
                continue
            sound, _ = soundfile.read(io.BytesIO(archive.read(name)))
            energy = np.cumsum(sound**2) / (sound**2).sum()
            cut = sound[np.searchsorted(energy, rng.uniform(0.1, 0.6)) :]
            least = sound.copy()
            least[: np.searchsorted(energy, 0.1) + 1] = 0
            words += 1
            found += ["cut_audio" in kinds(check_sound(measured(one))) for one in (cut, least)]
            alarms += "cut_audio" in kinds(check_sound(measured(sound)))
    assert (found >= np.array([0.95, 0.9]) * words).all()
    assert alarms <= 0.01 * words


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
