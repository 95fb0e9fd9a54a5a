"""One look at a sound: what is measured, what is odd, what is refused and why."""

import csv
import io
import zipfile
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlcore.clips import decode_sound
from mlcore.files import Measured, UnusableFile
from mlcore.flat_tops import runs_of
from mlcore.lines import Line
from mlcore.riff import pcm16_wav, wav_of_steps
from mlcore.sounds import SAMPLES_TOGETHER, measure_sound, measure_sounds
from mlcore.waveforms import PEAK_PAIRS, Waves, peaks
from tests.shared import shared_path

RATE = 16_000


def word(seed: int = 0, *, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Return a voiced burst in the middle of a quiet room."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    burst = np.exp(-(((t - seconds / 2) / (0.12 * seconds)) ** 2))
    voice = sum(np.sin(2 * np.pi * 130 * h * t) / h for h in range(1, 9))
    return (0.15 * burst * voice + rng.normal(0, 0.0005, len(t)))[:, None]


def noise(level: float, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, (RATE, 1))


def saved(samples: np.ndarray, kind: str = "WAV", subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format=kind, subtype=subtype)
    return out.getvalue()


def facts_of(samples: np.ndarray) -> dict[str, float]:
    measured = measure_sound(saved(samples, subtype="FLOAT"), "x.wav").facts
    return {name: value for name, value in measured.items() if isinstance(value, (int, float))}


def codes(measured: Measured) -> set[str]:
    return {oddity.code for oddity in measured.oddities}


SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM"]
ENCODINGS = [(k, s) for k in ("WAV", "WAVEX", "AIFF") for s in SUBTYPES]


@pytest.mark.parametrize(
    ("kind", "subtype"), [pair for pair in ENCODINGS if soundfile.check_format(*pair)]
)
def test_any_encoding_of_a_clip_has_the_same_levels(kind: str, subtype: str) -> None:
    measured = measure_sound(saved(word(), kind, subtype), "x.wav" if "WAV" in kind else "x.aiff")
    assert measured.oddities == ()
    assert measured.facts["subtype"] == subtype
    assert measured.facts["seconds"] == pytest.approx(1.0, abs=0.02)
    assert measured.facts["dbfs"] == pytest.approx(facts_of(word())["dbfs"], abs=0.5)
    played = subtype in {"PCM_16", "PCM_U8"} and "WAV" in kind
    assert (measured.display is None) == played


@pytest.mark.parametrize(
    ("kind", "name", "subtype"),
    [
        ("FLAC", "x.flac", "PCM_16"),
        ("OGG", "x.ogg", "VORBIS"),
        ("OGG", "x.opus", "OPUS"),
        ("MP3", "x.mp3", None),
    ],
)
def test_compressed_sound_is_measured_and_played_as_it_is(
    kind: str, name: str, subtype: str | None
) -> None:
    measured = measure_sound(saved(word(), kind, subtype), name)
    assert measured.type == kind.lower()
    assert measured.oddities == ()
    assert measured.facts["dbfs"] == pytest.approx(facts_of(word())["dbfs"], abs=1.0)
    assert measured.display is None


def test_a_display_copy_is_16_bit_wav_of_the_same_sound() -> None:
    measured = measure_sound(saved(word() * 1.4, subtype="FLOAT"), "x.wav")
    assert measured.display_mime == "audio/wav"
    copy = measure_sound(measured.display or b"", "x.wav")
    assert copy.facts["subtype"] == "PCM_16"
    assert copy.display is None
    assert copy.facts["dbfs"] == pytest.approx(measured.facts["dbfs"], abs=0.1)


def test_the_same_samples_in_other_bytes_have_the_same_pixel_hash() -> None:
    steps = np.rint(word() * 32_767).astype(np.int16)
    wav, flac = (measure_sound(saved(steps, kind, "PCM_16"), "x") for kind in ("WAV", "FLAC"))
    assert wav.type != flac.type
    assert wav.pixel_hash == flac.pixel_hash
    assert measure_sound(saved(word(1), "FLAC"), "x").pixel_hash != flac.pixel_hash


def test_soft_speech_and_steady_noise_differ_in_range_whatever_their_level() -> None:
    soft, hum = facts_of(word() * 0.01), facts_of(noise(0.05))
    assert soft["dbfs"] < hum["dbfs"] - 20
    assert soft["frame_range_db"] > 15
    assert hum["frame_range_db"] < 6
    assert hum["spectral_flatness"] > 0.8
    assert hum["spectral_change_db"] < 4 < soft["spectral_change_db"]


def test_silence_has_a_floor_instead_of_infinity() -> None:
    measured = measure_sound(saved(np.zeros((RATE, 1))), "x.wav")
    assert codes(measured) == {"blank"}
    assert measured.facts["dbfs"] == measured.facts["noise_floor_db"] == -100.0
    assert measured.facts["frame_range_db"] == 0.0


def test_an_offset_and_a_drift_are_not_loudness() -> None:
    still = facts_of(noise(0.0001))
    offset = facts_of(noise(0.0001) + 0.2)
    drift = facts_of(noise(0.0001) + np.linspace(-0.2, 0.2, RATE)[:, None])
    assert offset["dc_offset"] == pytest.approx(0.2, abs=1e-4)
    assert offset["dbfs"] == pytest.approx(still["dbfs"], abs=0.1)
    assert drift["dbfs"] < -50


def test_channels_of_opposite_sign_do_not_cancel() -> None:
    stereo = np.hstack([word(), -word()])
    assert facts_of(stereo)["dbfs"] == pytest.approx(facts_of(word())["dbfs"], abs=0.1)


def test_clipping_at_full_scale_and_turned_down_is_counted() -> None:
    clean = facts_of(word())
    clipped = facts_of(np.clip(word() * 12, -0.999, 0.999))
    turned_down = facts_of(np.clip(word() * 12, -0.999, 0.999) * 0.5)
    assert clean["clipped_samples"] == 0
    assert clean["flat_top_share"] == 0.0
    assert clipped["clipped_share"] > 0.05
    assert clipped["longest_clipped_run"] >= 10
    assert turned_down["clipped_samples"] == 0
    assert turned_down["flat_top_share"] == pytest.approx(clipped["flat_top_share"], abs=0.01)


@pytest.mark.parametrize("hertz", [100, 440, 1000])
def test_a_pure_tone_is_not_clipped(hertz: int) -> None:
    tone = 0.7 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)[:, None]
    assert facts_of(tone)["flat_top_share"] == 0.0


def test_edges_tell_a_whole_word_from_a_cut_one() -> None:
    whole = facts_of(word())
    end_cut = facts_of(word()[: RATE // 2])
    start_cut = facts_of(word()[RATE // 2 :])
    assert whole["edge_start_db"] < -30
    assert whole["edge_end_db"] < -30
    assert end_cut["edge_end_db"] > -3
    assert end_cut["edge_start_db"] < -30
    assert start_cut["edge_start_db"] > -3


def test_a_cut_word_filled_up_with_zeros_is_seen_inside_the_padding() -> None:
    padded = np.concatenate([word()[: RATE // 2], np.zeros((RATE // 2, 1))])
    facts = facts_of(padded)
    assert facts["padding_end"] == pytest.approx(0.5, abs=0.001)
    assert facts["padding_start"] == 0.0
    assert facts["edge_end_db"] < -60
    assert facts["inner_end_db"] > -3


def test_silence_before_and_after_the_sound_is_timed() -> None:
    late = np.concatenate([noise(0.0003)[: RATE // 2], word(seconds=0.5), noise(0.0003)[:3200]])
    facts = facts_of(late)
    assert facts["leading_silence"] == pytest.approx(0.6, abs=0.1)
    assert facts["trailing_silence"] == pytest.approx(0.3, abs=0.1)


def test_bandwidth_shows_that_a_clip_was_recorded_at_a_lower_rate() -> None:
    spectrum = np.fft.rfft(noise(0.1)[:, 0])
    spectrum[4000:] = 0  # what 8 kHz can hold
    narrow = np.fft.irfft(spectrum)[:, None]
    assert facts_of(narrow)["bandwidth_hz"] < 4200
    assert facts_of(noise(0.1))["bandwidth_hz"] > 7500


@settings(max_examples=60)
@given(
    st.floats(82, 1000), st.sampled_from([8_000, 16_000, 44_100, 48_000]), st.floats(0.001, 0.95)
)
@example(82.0, 48_000, 0.45958220174844067)  # rounding to 16 bits lengthens the crest by a sample
def test_no_tone_of_a_voice_has_flat_tops(hertz: float, rate: int, level: float) -> None:
    tone = level * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)[:, None]
    facts = measure_sound(pcm16_wav(tone, rate), "x.wav").facts
    assert facts["flat_tops"] == facts["piled_samples"] == 0


@settings(max_examples=40)
@given(st.floats(0, 1), st.floats(0.5, 3000), st.integers(0, 9))
def test_noise_of_any_colour_and_level_has_no_samples_piled_up(
    slope: float, steps: float, seed: int
) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=RATE))
    sound = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 40) ** slope)
    measured = measure_sound(pcm16_wav((steps / 32_768 * sound / sound.std())[:, None], RATE), "x")
    assert measured.facts["piled_samples"] == 0


@settings(max_examples=40)
@given(st.integers(3, 40), st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_wave_that_repeats_to_the_sample_is_not_piled_up(
    period: int, level: float, seed: int
) -> None:
    once = np.random.default_rng(seed).normal(size=period)
    sound = np.tile(once / np.abs(once).max() * level, 400)[:, None]
    assert measure_sound(pcm16_wav(sound, RATE), "x.wav").facts["piled_samples"] == 0


@settings(max_examples=60)
@given(st.data())
def test_plain_wav_is_read_as_the_library_reads_it(data: st.DataObject) -> None:
    frames, channels = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 3))
    rate = data.draw(st.sampled_from([4_000, 8_000, 16_000, 44_100]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    steps = rng.integers(-32_768, 32_768, (frames, channels), np.int16)
    content = io.BytesIO()
    soundfile.write(content, steps, rate, format="WAV", subtype="PCM_16")
    lost = data.draw(st.integers(0, min(5, 2 * channels * (frames - 1))))
    cut = content.getvalue()[: len(content.getvalue()) - lost]
    clip = decode_sound(cut)
    expected, expected_rate = soundfile.read(io.BytesIO(cut), dtype="float32", always_2d=True)
    assert np.array_equal(clip.samples, expected)
    assert (clip.rate, clip.subtype) == (expected_rate, "PCM_16")


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=5))
def test_runs_are_those_of_each_row(marks: list[list[bool]]) -> None:
    line = Line.of([len(row) for row in marks])
    rows, begins, lengths = runs_of(np.array([mark for row in marks for mark in row]), line)
    told = [[int(n) for n in lengths[rows == row]] for row in range(len(marks))]
    for row, begin, length in zip(rows, begins - line.starts[rows], lengths, strict=True):
        assert all(marks[row][begin : begin + length])
    assert told == [[len(list(run)) for on, run in groupby(row) if on] for row in marks]


def alone_or_refusal(content: bytes) -> str:
    try:
        return repr(measure_sound(content, "x.wav"))
    except UnusableFile as refused:
        return repr(refused)


MIXED = [
    saved(word()),
    saved(np.zeros((RATE, 1))),
    saved(np.clip(8 * word(1), -1, 1)),
    saved(np.pad(word(2)[4000:12_000], ((4000, 4000), (0, 0)))),
    saved(np.hstack([word(3), -0.5 * word(4)])),
    saved(np.hstack([word(), 0 * word()]), "FLAC"),
    saved(word(5) * 1.4, subtype="FLOAT"),
    saved(word()[:7001], "OGG"),
    saved(word()[:5]),
    saved(word(6)[:319]),
    saved(np.tile(word(7), (11, 1))[: 10 * RATE + 900]),
    saved(np.clip(3 * word(8), -0.2, 0.2)[:12_345]),
    saved(noise(0.1)[:9_999]),
    saved(word())[:9000],
    b"",
]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(range(len(MIXED))), max_size=40))
def test_sounds_measured_together_are_told_as_each_alone(chosen: list[int]) -> None:
    alone = [alone_or_refusal(MIXED[one]) for one in chosen]
    assert list(map(repr, measure_sounds((MIXED[one], "x.wav") for one in chosen))) == alone


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 3), st.floats(0, 2), st.integers(0, 9))
def test_clips_of_any_length_have_finite_facts_and_peaks(
    frames: int, channels: int, level: float, seed: int
) -> None:
    samples = np.random.default_rng(seed).normal(0, level, (frames, channels))
    measured = measure_sound(saved(samples, subtype="FLOAT"), "x.wav")
    numbers = [v for v in measured.facts.values() if isinstance(v, (int, float))]
    assert np.isfinite(numbers).all()
    assert len(measured.preview) == 2 * min(PEAK_PAIRS, frames)
    low, high = measured.preview[::2], measured.preview[1::2]
    assert all(a <= b for a, b in zip(low, high, strict=True))


def test_peaks_are_scaled_by_the_clips_own_peak() -> None:
    soft, loud = (measure_sound(saved(word() * g, subtype="FLOAT"), "x.wav") for g in (0.02, 1))
    assert soft.preview == loud.preview
    assert 255 in loud.preview or 1 in loud.preview


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=4), st.integers(1, 2), st.booleans())
def test_each_stretch_knows_its_extremes(lengths: list[int], channels: int, steps: bool) -> None:
    rng = np.random.default_rng(sum(lengths))
    clips = [rng.integers(-32_768, 32_768, (n, channels)).astype(np.int16) for n in lengths]
    waves = Waves.of(clips if steps else [np.float32(clip / 32_768) for clip in clips])
    assert np.add.reduceat(waves.stretches.lengths, waves.drawn.starts).tolist() == lengths
    assert waves.drawn.lengths.tolist() == [min(PEAK_PAIRS, n) for n in lengths]
    for place, one in enumerate(waves.stretches.slices):
        samples = waves.samples[:, one] / (32_768 if steps else 1)
        assert np.array_equal(waves.least[:, place], samples.min(axis=1))
        assert np.array_equal(waves.greatest[:, place], samples.max(axis=1))


def test_the_lowest_16_bit_step_is_drawn_as_full_scale_in_every_channel() -> None:
    for channels in (1, 2):
        steps = np.full((1, 4, channels), 1000, np.int16)
        steps[0, 0] = -32_768
        assert list(peaks(Waves.of(steps))[0]) == [1, 1, 132, 132, 132, 132, 132, 132]
        assert peaks(Waves.of(steps)) == peaks(Waves.of(steps.astype(np.float32) / 32_768))


# --- real files


def rows_of(name: str) -> list[tuple[dict[str, str], Measured]]:
    folder = shared_path(f"data/{name}")
    archive = zipfile.ZipFile(folder / "audio.zip")
    index = list(csv.DictReader((folder / "index.csv").open()))
    return [(row, measure_sound(archive.read(row["file"]), row["file"])) for row in index]


def test_every_real_wav_format_is_measured_and_gets_a_playable_copy() -> None:
    for row, measured in rows_of("wav_formats"):
        assert measured.oddities == ()
        assert measured.facts["subtype"] == row["subtype"]
        assert measured.facts["sample_rate"] == int(row["sample_rate"])
        assert measured.facts["peak"] == pytest.approx(float(row["peak"]), abs=1e-4)
        assert measured.display_mime == "audio/wav"


@pytest.mark.parametrize("name", ["speech_commands_sample", "arabic_speech_commands"])
def test_real_speech_has_the_lengths_levels_and_ranges_of_its_index(name: str) -> None:
    for row, measured in rows_of(name):
        facts = measured.facts
        assert measured.oddities == ()
        assert facts["seconds"] == pytest.approx(float(row["seconds"]), abs=1e-3)
        assert facts["peak"] == pytest.approx(float(row["peak"]), abs=1e-4)
        # The index has no high-pass: clips with an offset or drift are louder there.
        assert facts["rms"] <= float(row["rms"]) * 1.05 + 1e-4  # type: ignore[operator]


def test_of_the_quietest_real_clips_soft_speech_keeps_a_wide_range() -> None:
    quiet = [m.facts for _, m in rows_of("speech_commands_sample") if m.facts["dbfs"] < -50]  # type: ignore[operator]
    assert len(quiet) >= 5
    assert sum(facts["frame_range_db"] > 20 for facts in quiet) >= 3  # type: ignore[operator]


class Held(bytes):
    """A file that counts how many are in memory."""

    alive = 0

    def __del__(self) -> None:
        Held.alive -= 1


def test_clips_of_many_shapes_do_not_pile_up_until_each_has_company() -> None:
    most = 0

    def files() -> Iterator[tuple[bytes, str]]:
        nonlocal most
        for rate in range(8_000, 10_000, 100):
            Held.alive += 1
            yield Held(wav_of_steps(bytes(2**20), channels=1, rate=rate)), "x.wav"
            most = max(most, Held.alive)

    assert len(measure_sounds(files())) == 20
    assert most <= 1 + SAMPLES_TOGETHER // 2**19
