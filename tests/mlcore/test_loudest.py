"""The loudest window of a clip: exactly where it is, and a file of it that changes no sample."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlcore.clips import decode_sound
from mlcore.loudest import cut_to_loudest, loudest_start
from mlcore.riff import wav_of_steps

RATE = 8_000


def by_hand(steps: np.ndarray, frames: int) -> int:
    """Add up every window in Python's whole numbers; of equals the earliest."""
    rows = [sum(int(value) ** 2 for value in row) for row in steps]
    sums = [sum(rows[start : start + frames]) for start in range(max(1, len(rows) - frames + 1))]
    return sums.index(max(sums))


STEPS = st.one_of(
    st.integers(-32_768, 32_767),
    st.sampled_from([-32_768, 32_767, 0, 1, -1]),  # extremes and many equal windows
)
CLIPS = arrays.arrays(np.int64, st.tuples(st.integers(1, 40), st.integers(1, 2)), elements=STEPS)


@given(CLIPS, st.integers(1, 45))
def test_the_window_is_the_one_that_adding_up_all_windows_finds(steps, frames):
    assert loudest_start(steps / 32_768, frames=frames) == by_hand(steps, frames)


@given(st.integers(0, 2 * RATE), st.integers(1, 3))
def test_a_second_of_tone_is_cut_at_its_very_first_sample(start, level):
    samples = np.zeros((3 * RATE, 1))
    samples[start : start + RATE] = level / 3
    assert loudest_start(samples, frames=RATE) == start


def test_one_step_is_seen_in_minutes_of_loud_sound():
    steps = np.full((2**21, 1), -32_767)
    steps[1_700_001] = -32_768
    assert loudest_start(steps / 32_768, frames=RATE) == 1_700_001 - RATE + 1


def saved(steps: np.ndarray, kind: str, subtype: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, steps.astype(np.int16), RATE, format=kind, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("FLAC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
        ("OGG", "VORBIS"),
    ],
)
def test_a_cut_holds_the_very_samples_of_its_stretch(kind, subtype):
    rng = np.random.default_rng(3)
    steps = rng.integers(-300, 300, (2 * RATE, 1))
    steps[5_001 : 5_001 + RATE] *= 100
    content = saved(steps, kind, subtype)
    before = decode_sound(content).samples
    cut = cut_to_loudest(content)
    assert cut is not None
    assert cut.frames == RATE
    after = decode_sound(cut.content).samples
    np.testing.assert_array_equal(after, before[cut.start : cut.start + RATE])
    if kind in ("WAV", "FLAC"):  # lossy formats smear the edges
        assert cut.start == 5_001


def test_a_clip_of_a_second_or_less_is_left_alone():
    for frames in (1, RATE - 1, RATE):
        content = wav_of_steps(np.ones(frames, "<i2").tobytes(), channels=1, rate=RATE)
        assert cut_to_loudest(content) is None
