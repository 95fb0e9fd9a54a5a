"""Clipping is named at any level and in any steps; blunt crests and coarse steps are left alone."""

import numpy as np
import pytest

from mlcore.sound_checks import check_sound
from tests.mlcore.spoken import RATE, doubts_about, kinds, measured, word


@pytest.mark.parametrize("drive", [3.0, 8.0])
@pytest.mark.parametrize("turned_down", [1.0, 0.5])
def test_clipping_is_named_also_when_it_was_turned_down_later(
    drive: float, turned_down: float
) -> None:
    sound = word()
    clipped = np.clip(sound / np.abs(sound).max() * drive, -1, 1) * turned_down
    assert kinds(doubts_about(clipped)) == ["clipped_audio"]


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


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
@pytest.mark.parametrize("depth", [0.8, 0.7, 0.5])
def test_clipping_that_was_driven_to_the_top_of_telephone_sound_is_named(
    subtype: str, depth: float
) -> None:
    for seed in range(4):
        sound = word(seed) / np.abs(word(seed)).max()
        assert doubts_about(0.98 * sound) == []
        cut = measured(np.clip(sound / depth, -1, 1), subtype=subtype)
        assert kinds(check_sound(cut)) == ["clipped_audio"]
        assert kinds(check_sound(measured(sound, subtype=subtype))) == []


@pytest.mark.parametrize("subtype", ["ULAW", "PCM_U8"])
def test_crests_as_blunt_as_a_square_of_a_square_are_not_clipping(subtype: str) -> None:
    """Shorter than the crest of the lowest voice, with many samples in one coarse step."""
    time = np.arange(RATE) / RATE
    for hertz in (500, 700, 900):
        phase = (time * hertz + 0.5) % 1 - 0.5
        crests = (1 - (2 * phase) ** 4) * np.sin(np.pi * time)
        assert kinds(check_sound(measured(0.98 * crests, subtype=subtype))) == []


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
