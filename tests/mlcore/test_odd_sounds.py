"""Sound files that are odd, and those that cannot be used: named, and never a crash."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.files import UnusableFile
from mlcore.riff import pcm16_wav
from mlcore.sounds import measure_sound
from tests.mlcore.test_sounds import RATE, codes, saved, word


def refusal(content: bytes, name: str = "x.wav") -> UnusableFile:
    with pytest.raises(UnusableFile) as caught:
        measure_sound(content, name)
    return caught.value


def test_a_wav_that_promises_more_than_there_is_is_refused_with_both_lengths() -> None:
    content = saved(word())
    refused = refusal(content[: len(content) * 6 // 10])
    assert refused.code == "truncated"
    assert "promises 1.00 s" in refused.reason
    assert "0.60 s" in refused.reason


def test_a_few_missing_samples_are_only_odd() -> None:
    measured = measure_sound(saved(word())[:-20], "x.wav")
    assert codes(measured) == {"truncated_tail"}


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_recording_that_was_never_closed_is_used_and_odd(length: int) -> None:
    content = bytearray(pcm16_wav(word(), RATE))
    content[40:44] = struct.pack("<I", length)
    content[4:8] = struct.pack("<I", length)
    measured = measure_sound(bytes(content), "x.wav")
    assert codes(measured) == {"open_ended_header"}
    assert measured.facts["seconds"] == 1.0
    assert measured.display is not None


def test_a_flac_that_breaks_off_is_refused() -> None:
    content = saved(word(), "FLAC")
    assert refusal(content[: len(content) // 2], "x.flac").code in {"truncated", "unreadable"}


def test_an_ogg_without_its_last_page_is_odd_or_refused() -> None:
    content = saved(np.tile(word(), (8, 1)), "OGG")
    try:
        measured = measure_sound(content[: len(content) * 2 // 3], "x.ogg")
    except UnusableFile as refused:
        assert refused.code in {"truncated", "unreadable"}  # noqa: PT017  (either is right)
    else:
        assert "truncated_tail" in codes(measured)


def test_samples_that_are_no_numbers_are_taken_as_silence() -> None:
    broken = word()
    broken[10:20] = np.nan
    broken[20:25] = np.inf
    broken[25:27] = [[3e38], [-3e38]]  # numbers, whose powers are none
    measured = measure_sound(saved(broken, subtype="FLOAT"), "x.wav")
    assert codes(measured) == {"not_finite"}
    assert measured.facts["not_finite"] == 17
    assert measured.facts["peak"] < 1  # type: ignore[operator]
    nothing = saved(np.full((100, 1), np.nan), subtype="FLOAT")
    assert refusal(nothing).code == "unreadable"


def test_noise_bytes_read_as_float_samples_are_measured_without_them() -> None:
    noise = np.frombuffer(np.random.default_rng(0).bytes(4 * RATE), "<f4")
    measured = measure_sound(saved(noise[:, None], subtype="FLOAT"), "x.wav")
    assert codes(measured) == {"not_finite", "over_full_scale"}
    assert np.isfinite([fact for fact in measured.facts.values() if type(fact) is float]).all()


def test_wrong_scale_dead_channels_many_channels_and_tiny_clips_are_odd() -> None:
    found: dict[str, Callable[[], np.ndarray]] = {
        "over_full_scale": lambda: word() * 32_768,
        "mono_of_many": lambda: np.hstack([word(), word() * 0]),
        "many_channels": lambda: np.tile(word(), (1, 4)),
        "tiny": lambda: word()[7900:8100],
    }
    for code, samples in found.items():
        measured = measure_sound(saved(samples(), subtype="FLOAT"), "x.wav")
        assert codes(measured) == {code}
        assert all(oddity.reason for oddity in measured.oddities)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("other", [-1.0, -0.8, -0.2, 0.0, 0.5, 1.0])
def test_channels_that_cancel_when_they_are_mixed_are_odd(other: float, subtype: str) -> None:
    both = np.hstack([word() + 0.05, other * word() + 0.01])
    measured = measure_sound(saved(both, subtype=subtype), "x.wav")
    assert codes(measured) == ({"channels_cancel"} if other < -0.5 else set())


def test_channels_of_unlike_sounds_and_silence_do_not_cancel() -> None:
    unlike = 0.1 * np.random.default_rng(0).normal(size=(RATE, 2))
    assert codes(measure_sound(saved(unlike), "x.wav")) == set()
    assert codes(measure_sound(saved(0 * unlike), "x.wav")) == {"mono_of_many", "blank"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "zero_bytes"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00", "unsupported"),
        (b"\x1aE\xdf\xa3\x9f\x42\x86\x81\x01", "unsupported"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "not_media"),
        (b"RIFF\x24\x00\x00\x00WAVEjunk", "unreadable"),
        (pcm16_wav(np.zeros((0, 1)), RATE), "truncated"),
    ],
)
def test_what_is_no_sound_is_refused_with_the_reason(content: bytes, code: str) -> None:
    assert refusal(content).code == code


def test_a_header_that_promises_hours_is_refused_before_decoding() -> None:
    content = bytearray(saved(word(), "FLAC"))
    content[21] |= 0x0F  # the upper 4 of 36 bits of the number of samples
    assert refusal(bytes(content), "x.flac").code == "too_large"


def test_a_flac_named_wav_is_imported_and_odd() -> None:
    assert codes(measure_sound(saved(word(), "FLAC"), "x.wav")) == {"wrong_extension"}


SAMPLES = {kind: saved(word()[6000:9000], kind) for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF")}


@settings(max_examples=100)
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    content = bytearray(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        measured = measure_sound(bytes(content), "x")
    except UnusableFile as refused:
        assert refused.reason  # noqa: PT017  (either outcome is right)
    else:
        assert measured.preview


def test_a_header_with_an_impossible_rate_is_refused_in_words() -> None:
    content = bytearray(pcm16_wav(word(), RATE))
    content[24:28] = struct.pack("<I", 0x7F000000)
    refused = refusal(bytes(content))
    assert refused.code == "unreadable"
    assert "2,130,706,432 samples a second" in refused.reason
