"""Changed copies are files like the originals, the same each time, and still what they were."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mlcore.augment import augmented, mirrored, rng_of
from mlcore.features.waves import RATE, read_wave
from mlcore.files import UnusableFile
from mlcore.images import measure_image
from mlcore.protocols import CHANGES, FLIP, NOISE, PITCH, SHIFT, STRETCH
from mlcore.riff import pcm16_wav
from mlcore.sounds import measure_sound


def picture(width=60, height=40, *, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def tone(hertz=440.0, seconds=0.5):
    moments = np.arange(int(seconds * RATE)) / RATE
    return pcm16_wav(0.3 * np.sin(2 * np.pi * hertz * moments)[:, None], RATE)


def loudest_hertz(content):
    wave = read_wave(content)
    return np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave)


@given(
    st.lists(st.sampled_from(CHANGES["image"]), min_size=1, unique=True),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(0, 2**32),
)
def test_a_changed_picture_of_any_shape_is_a_picture_the_same_each_time(
    changes, width, height, seed
):
    content = picture(width, height)
    made = [augmented(content, changes, rng=np.random.default_rng(seed)) for _again in range(2)]
    assert made[0] == made[1]
    assert measure_image(made[0], "copy.png").facts["width"] >= 1


@given(st.integers(0, 2**32))
def test_a_shift_keeps_the_size_and_moves_what_is_there(seed):
    content = picture()
    moved = pixels_of(augmented(content, [SHIFT], rng=np.random.default_rng(seed)))
    original = pixels_of(content)
    assert moved.shape == original.shape
    rows = [np.roll(original, (down, right), (0, 1)) for down in range(-4, 5)
            for right in range(-6, 7)]  # fmt: skip
    middle = np.s_[8:-8, 8:-8]
    assert any(np.array_equal(moved[middle], row[middle]) for row in rows)


def test_a_mirror_shows_left_as_right_and_a_flip_is_one_half_of_the_time():
    content = picture()
    assert np.array_equal(pixels_of(mirrored(content)), pixels_of(content)[:, ::-1])
    made = {augmented(content, [FLIP], rng=np.random.default_rng(seed)) for seed in range(20)}
    assert mirrored(content) in made
    assert len(made) == 2


def test_pitch_moves_the_tone_and_keeps_the_length():
    heard = [augmented(tone(), [PITCH], rng=np.random.default_rng(seed)) for seed in range(4)]
    for content in heard:
        assert len(read_wave(content)) == len(read_wave(tone()))
        assert 440 * 2 ** (-2.2 / 12) < loudest_hertz(content) < 440 * 2 ** (2.2 / 12)
    assert max(map(loudest_hertz, heard)) - min(map(loudest_hertz, heard)) > 10


def test_time_changes_the_length_and_keeps_the_tone():
    content = augmented(tone(), [STRETCH], rng=np.random.default_rng(1))
    assert len(read_wave(content)) != len(read_wave(tone()))
    assert loudest_hertz(content) == pytest.approx(440, abs=5)


def test_noise_lies_below_the_sound_and_silence_stays_silent():
    wave = read_wave(tone())
    noisy = read_wave(augmented(tone(), [NOISE], rng=np.random.default_rng(2)))
    decibels = 10 * np.log10(np.mean(wave**2) / np.mean((noisy - wave) ** 2))
    assert 14.5 < decibels < 30.5
    silence = pcm16_wav(np.zeros((RATE // 2, 1)), RATE)
    assert not read_wave(augmented(silence, [NOISE], rng=np.random.default_rng(2))).any()


def test_all_changes_of_a_sound_together_make_a_sound_the_same_each_time():
    made = [augmented(tone(), CHANGES["audio"], rng=rng_of("ab" * 32)) for _again in range(2)]
    assert made[0] == made[1]
    assert measure_sound(made[0], "copy.wav").facts["seconds"] > 0.4


@pytest.mark.parametrize("changes", [[], [FLIP, NOISE], ["wobble"]])
def test_changes_that_do_not_go_together_are_refused(changes):
    with pytest.raises(ValueError, match="do not go together"):
        augmented(picture(), changes, rng=np.random.default_rng(0))


def test_what_is_no_picture_is_refused_as_elsewhere():
    with pytest.raises(UnusableFile):
        augmented(b"no picture", [FLIP], rng=np.random.default_rng(0))
