"""Sounds that begin, end or break off inside a word are named; soft and tight ones are not."""

import io
import zipfile

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from mlcore.sound_checks import TIGHT_SHARE, check_sound, tight_share
from tests.mlcore.spoken import RATE, doubts_about, kinds, measured, word
from tests.shared import shared_path


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


def test_a_short_clip_that_begins_and_ends_softly_is_whole() -> None:
    time = np.arange(RATE // 2) / RATE
    spoken = np.exp(-(((time - 0.25) / 0.06) ** 2)) * np.sin(2 * np.pi * 200 * time)
    assert doubts_about(0.3 * spoken, typical_seconds=1.0) == []
    cut = 0.3 * spoken[: int(0.3 * RATE)]
    assert kinds(doubts_about(cut, typical_seconds=1.0)) == ["cut_audio"]


@pytest.mark.parametrize("milliseconds", [15, 40, 90])
@pytest.mark.parametrize("is_held", [True, False])
def test_a_packet_dropped_inside_a_word_is_named(milliseconds: int, is_held: bool) -> None:
    for seed in range(4):
        sound = word(seed)
        hole = slice(int(0.39 * RATE), int(0.39 * RATE) + milliseconds * RATE // 1000)
        sound[hole] = sound[hole.start] if is_held else 0.0
        for subtype in ("PCM_16", "ULAW", "FLOAT"):
            facts = measured(sound, subtype=subtype)
            assert facts["hole_seconds"] == pytest.approx(milliseconds / 1000, abs=0.001)
            (doubt,) = check_sound(facts)
            assert (doubt.kind, doubt.is_likely) == ("cut_audio", True)


def test_a_gate_that_closes_in_the_pause_drops_nothing() -> None:
    for seed in range(4):
        sound = np.concatenate([word(seed), word(seed + 4)])
        loud = np.convolve(sound**2, np.ones(320) / 320, "same")
        gated = np.where(loud < 1e-3 * loud.max(), 0.0, sound)
        assert not gated[RATE - 320 : RATE].any()
        assert doubts_about(gated) == []


def test_the_coarse_steps_of_soft_sound_are_no_hole() -> None:
    for seed in range(4):
        sound = 0.1 * word(seed) / np.abs(word(seed)).max()
        assert kinds(check_sound(measured(sound, subtype="PCM_U8"))) == []


def test_a_hole_in_one_channel_alone_is_left_to_the_other() -> None:
    both = np.stack([word(), word()], axis=1)
    both[int(0.39 * RATE) : int(0.43 * RATE), 0] = 0.0
    assert check_sound(measured(both)) == []
    both[int(0.39 * RATE) : int(0.43 * RATE), 1] = 0.0
    assert kinds(check_sound(measured(both))) == ["cut_audio"]


def test_a_hole_beside_a_dead_channel_is_named() -> None:
    sound = word()
    sound[int(0.39 * RATE) : int(0.43 * RATE)] = 0.0
    for dead in (0.0, 0.25):
        beside = np.stack([sound, np.full(RATE, dead)], axis=1)
        assert kinds(check_sound(measured(beside))) == ["cut_audio"]


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


def test_a_clip_much_shorter_than_the_others_is_doubted_only_where_lengths_are_alike() -> None:
    sound = word()[int(0.32 * RATE) : int(0.74 * RATE)]
    assert doubts_about(sound) == []
    assert kinds(doubts_about(sound, typical_seconds=1.2)) == ["cut_audio"]


def test_real_words_that_lost_a_tenth_of_their_energy_are_found() -> None:
    path = shared_path("data/lithuanian_speech_commands/audio.zip")
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
