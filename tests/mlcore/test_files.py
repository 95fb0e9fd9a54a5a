"""What a file really is, and which names promise what."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.files import (
    HOW_TO_CONVERT,
    IMAGE_TYPES,
    MIME,
    SOUND_TYPES,
    Measured,
    UnusableFile,
    expected_types,
    name_oddity,
    real_type,
    sniff,
)
from mlcore.images import measure_image
from mlcore.sounds import measure_sound
from mlcore.texts import MOST_CHARACTERS, measure_text

FTYP = b"\x00\x00\x00\x18ftyp"

HEADS = {
    b"\xff\xd8\xff\xe0\x00\x10JFIF": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF89a": "gif",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ": "webp",
    b"RIFF\x00\x00\x00\x00WAVEfmt ": "wav",
    b"RF64\xff\xff\xff\xffWAVEds64": "wav",
    b"BM" + b"\x00" * 12 + b"\x28" + b"\x00" * 30: "bmp",
    b"II*\x00\x08\x00\x00\x00": "tiff",
    FTYP + b"heic\x00\x00\x00\x00": "heic",
    FTYP + b"mif1\x00\x00\x00\x00mif1heic": "heic",
    FTYP + b"mif1\x00\x00\x00\x00avifmif1": "avif",
    FTYP + b"M4A \x00\x00\x00\x00": "m4a",
    FTYP + b"isom\x00\x00\x00\x00": "mp4",
    b"fLaC\x00\x00\x00\x22": "flac",
    b"OggS\x00\x02": "ogg",
    b"ID3\x04\x00": "mp3",
    b"\xff\xfb\x90\x64": "mp3",
    b"\xff\xf1\x50\x80": "aac",
    b"\x1aE\xdf\xa3\x9f": "webm",
    b"PK\x03\x04\x14\x00": "zip",
    b"P5\n512 512\n255\n": "pnm",
    b"<?xml version='1.0'?><svg xmlns='...'>": "svg",
    b"key,label\na,b\n": "text",
    b"\xef\xbb\xbfkey": "text",
    "schlüssel".encode() * 80: "text",
    b"": "empty",
    b"\x00" * 600: "unknown",
}


@pytest.mark.parametrize(("head", "kind"), HEADS.items(), ids=lambda value: str(value)[:24])
def test_the_first_bytes_tell_the_real_type(head: bytes, kind: str) -> None:
    assert sniff(head) == kind


@given(st.binary(max_size=600))
def test_any_bytes_have_some_type(head: bytes) -> None:
    known = set(MIME) | set(HOW_TO_CONVERT) | {"zip", "empty", "unknown"}
    assert sniff(head) in known


def test_a_letter_cut_by_the_end_of_the_head_is_still_text() -> None:
    assert sniff(b"a" * 511 + "é".encode()) == "text"


def test_a_name_promises_a_type_whatever_its_case() -> None:
    assert expected_types("a/b/IMG.JPEG") == {"jpeg"}
    assert expected_types("clip.opus") == {"ogg"}
    assert expected_types("no_ending") == frozenset()


def test_a_wrong_ending_is_odd_and_an_unknown_one_is_not() -> None:
    (oddity,) = name_oddity("cat.jpg", "png")
    assert oddity.code == "wrong_extension"
    assert "PNG" in oddity.reason
    assert name_oddity("cat.jpg", "jpeg") == ()
    assert name_oddity("cat", "png") == ()


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "zero_bytes", "0 bytes"),
        (b"\x00" * 900, "unreadable", "copy failed"),
        (FTYP + b"M4A \x00\x00\x00\x00", "unsupported", "ffmpeg -i clip.m4a"),
        (b"\x1aE\xdf\xa3\x9f", "unsupported", "WebM"),
        (b"%PDF-1.7", "unsupported", "pdftoppm"),
        (b"fLaC\x00\x00\x00\x22", "not_media", "images are wanted"),
        (b"hello there", "not_media", "TEXT"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 5000, "too_large", "5,008"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(content: bytes, code: str, words: str) -> None:
    with pytest.raises(UnusableFile) as refusal:
        real_type(content, wanted=IMAGE_TYPES, noun="image", most_bytes=1000)
    assert refusal.value.code == code
    assert words in refusal.value.reason


def test_sound_and_image_types_do_not_overlap_and_all_have_a_mime_type() -> None:
    assert not IMAGE_TYPES & SOUND_TYPES
    assert set(MIME) >= IMAGE_TYPES | SOUND_TYPES


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@given(st.binary(max_size=200), st.sampled_from(sorted(MIME)))
def test_rubbish_behind_a_real_signature_is_refused_and_never_crashes(
    rubbish: bytes, kind: str
) -> None:
    contents = [head + rubbish for head, real in HEADS.items() if real == kind]
    for content in contents:
        assert taken_as(measure_image, content, kind) in {"refused in words", *IMAGE_TYPES}
        assert taken_as(measure_sound, content, kind) in {"refused in words", *SOUND_TYPES}


def taken_as(measure: Callable[[bytes, str], Measured], content: bytes, kind: str) -> str:
    """The type that a file is measured as; a rare tail of a sound may be usable."""
    try:
        return measure(content, f"x.{kind}").type
    except UnusableFile as refusal:
        return "refused in words" if refusal.reason else "refused"


def test_the_web_process_may_import_all_of_it_without_heavy_libraries() -> None:
    code = (
        "import sys, mlcore.files, mlcore.images, mlcore.sounds, mlcore.texts;"
        "heavy = {'tensorflow', 'keras', 'librosa', 'numba', 'scipy', 'sklearn', 'soundfile'};"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_texts_that_read_the_same_share_a_hash_and_empty_ones_are_refused() -> None:
    one, other = measure_text("Caf\u00e9  open?"), measure_text("cafe\u0301 OPEN?")
    assert one.pixel_hash == other.pixel_hash
    with pytest.raises(UnusableFile, match="zero_bytes"):
        measure_text(" \n")
    with pytest.raises(UnusableFile, match="too_large"):
        measure_text("x" * (MOST_CHARACTERS + 1))


def test_odd_texts_say_what_is_odd() -> None:
    def codes(text: str) -> set[str]:
        return {oddity.code for oddity in measure_text(text).oddities}

    assert codes("Where is my card?") == set()
    assert codes("Das fÃ¼r dich") == {"broken_encoding"}
    assert codes("a\x07bc") == {"control_characters"}
    assert codes("?") == {"tiny"}


@given(st.text(max_size=300))
def test_any_text_is_measured_or_refused(text: str) -> None:
    try:
        measured = measure_text(text)
    except UnusableFile as refusal:
        assert refusal.code == "zero_bytes"  # noqa: PT017  (nothing else is possible here)
    else:
        assert measured.facts["characters"] > 0  # type: ignore[operator]
