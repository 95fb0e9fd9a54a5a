"""What a file really is, why it cannot be used, and what one look at it measured.

Everything that reads a member of an import (images, sounds, texts) speaks in these words:
`UnusableFile` when the member cannot become an item, `Oddity` when it can but a person
should know something about it, and `Measured` for all that later steps need, so that the
file is opened once.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from posixpath import splitext
from typing import NamedTuple

import xxhash

Fact = float | int | str | bool | list[float]

#: Bytes of a file's beginning that `sniff` needs; the longest signature ends at byte 32.
HEAD_BYTES = 512

#: Bytes one member may have: 200 MB hold 35 minutes of 16-bit stereo at 48 kHz.
MOST_BYTES = 200_000_000

MIME = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "avif": "image/avif",
    "pnm": "image/x-portable-anymap",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "aiff": "audio/aiff",
    "au": "audio/basic",
    "text": "text/plain; charset=utf-8",
}
IMAGE_TYPES = frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff", "heic", "avif", "pnm"})
SOUND_TYPES = frozenset({"wav", "flac", "ogg", "mp3", "aiff", "au"})

#: Real types that are recognised only to be refused by name, with what to do instead.
HOW_TO_CONVERT = {
    "m4a": "M4A/AAC sound is not read here; convert it first: ffmpeg -i clip.m4a clip.flac",
    "aac": "AAC sound is not read here; convert it first: ffmpeg -i clip.aac clip.flac",
    "webm": "WebM/Matroska is not read here; convert it first: ffmpeg -i clip.webm clip.flac",
    "wma": "WMA sound is not read here; convert it first: ffmpeg -i clip.wma clip.flac",
    "amr": "AMR sound is not read here; convert it first: ffmpeg -i clip.amr clip.flac",
    "mp4": "MP4/QuickTime video is not read here; take its sound (ffmpeg -i clip.mp4 clip.flac) "
    "or its frames (ffmpeg -i clip.mp4 frame_%04d.jpg)",
    "avi": "AVI video is not read here; take its frames: ffmpeg -i clip.avi frame_%04d.jpg",
    "svg": "SVG is a drawing, not pixels; export it as PNG first",
    "jxl": "JPEG XL is not read here; convert it to PNG or JPEG first",
    "jp2": "JPEG 2000 is not read here; convert it to PNG or JPEG first",
    "ico": "Icons are not read here; convert them to PNG first",
    "caf": "CAF sound is not read here; convert it first: ffmpeg -i clip.caf clip.flac",
    "w64": "Wave64 sound is not read here; convert it first: ffmpeg -i clip.w64 clip.flac",
    "psd": "Photoshop files are not read here; export them as PNG or TIFF first",
    "pdf": "PDF is not read here; export its pages first: pdftoppm -png file.pdf page",
}

_EXTENSIONS = {
    "jpeg": "jpg jpeg jpe jfif",
    "png": "png apng",
    "webp": "webp",
    "gif": "gif",
    "bmp": "bmp dib",
    "tiff": "tif tiff",
    "heic": "heic heif hif",
    "avif": "avif",
    "pnm": "pbm pgm ppm pnm",
    "svg": "svg",
    "jxl": "jxl",
    "jp2": "jp2 j2k jpf jpx",
    "ico": "ico",
    "caf": "caf",
    "w64": "w64",
    "psd": "psd",
    "pdf": "pdf",
    "wav": "wav wave",
    "flac": "flac",
    "ogg": "ogg oga opus",
    "mp3": "mp3",
    "aiff": "aif aiff aifc",
    "au": "au snd",
    "m4a": "m4a m4b",
    "mp4": "mp4 m4v mov",
    "aac": "aac",
    "webm": "webm mkv mka",
    "wma": "wma",
    "amr": "amr",
    "avi": "avi",
    "zip": "zip",
    "text": "txt csv tsv json jsonl md",
}
_TYPE_OF_EXTENSION = {e: kind for kind, names in _EXTENSIONS.items() for e in names.split()}

#: Signatures as (offset, bytes, type); the first that matches wins, the commonest first.
_SIGNATURES = (
    (8, b"WAVE", "wav"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (0, b"II+\x00", "tiff"),
    (0, b"MM\x00+", "tiff"),
    (8, b"WEBP", "webp"),
    (8, b"AVI ", "avi"),
    (8, b"AIFF", "aiff"),
    (8, b"AIFC", "aiff"),
    (0, b".snd", "au"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"\x1aE\xdf\xa3", "webm"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma"),
    (0, b"#!AMR", "amr"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"%PDF", "pdf"),
    (0, b"8BPS", "psd"),
    (0, b"\xff\x0a", "jxl"),
    (4, b"JXL \r\n\x87\n", "jxl"),
    (4, b"jP  \r\n\x87\n", "jp2"),
    (0, b"\xff\x4f\xff\x51", "jp2"),
    (0, b"\x00\x00\x01\x00", "ico"),
    (0, b"caff\x00\x01", "caf"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
)

#: Major brands of ISO media files (ISO/IEC 14496-12); any other brand counts as video.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "heic"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"M4A ", b"M4B "), "m4a"),
}


class UnusableFile(Exception):  # noqa: N818  (a state of the file, named as reports name it)
    """A member that cannot become an item.

    Attributes
    ----------
    code : str
        One of zero_bytes, truncated, unreadable, too_large, decompression_bomb,
        unsupported, not_media.
    reason : str
        One sentence for the person who uploaded the file.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


#: Number of the measures of this version: raised when a fact comes or is measured otherwise, so
#: that files measured before are known.
MEASURED_BY = 6


@dataclass(frozen=True)
class Oddity:
    """Something a person should know about a file that was imported nevertheless."""

    code: str
    reason: str


class Measured(NamedTuple):
    """All that later steps need of one member, but for `sha256_of` its bytes.

    That is known before: bytes which are known already are not measured again.

    Attributes
    ----------
    size : int
        Bytes.
    type, mime : str
        What the file really is, whatever its name says.
    facts : dict
        Plain JSON values; `measure_image`, `measure_sound` and `measure_text` list theirs.
    oddities : tuple of Oddity
    pixel_hash : str
        `hash_samples` of what was decoded: equal for files that show or sound exactly the same.
    phash : int or None
        Unsigned 64-bit perceptual hash of the picture.
    flat : bool
        The picture has too little structure for `phash` to mean anything.
    preview : bytes
        Pictures: at most 256 px, and *the original bytes themselves* where these will do, so
        that storage by content keeps one copy. Sounds: uint8 peaks, see `sounds.peaks`.
        Texts: the beginning, UTF-8.
    preview_mime : str
    small_grey : bytes or None
        Pictures: luma of all of it in 32 x 32 fields, row by row (`image_hashes.grey_fields`).
    display : bytes or None
        A copy that browsers show or play, where they would not do so with the original.
    display_mime : str
        Empty without `display`.
    """

    size: int
    type: str
    mime: str
    facts: dict[str, Fact]
    oddities: tuple[Oddity, ...]
    pixel_hash: str
    phash: int | None
    flat: bool
    preview: bytes
    preview_mime: str
    small_grey: bytes | None = None
    display: bytes | None = None
    display_mime: str = ""


def sniff(head: bytes) -> str:
    """Return the real type of a file by its first bytes.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file, or all of it.

    Returns
    -------
    str
        A key of `MIME` or `HOW_TO_CONVERT`, or 'zip', 'empty', 'unknown'.

    Examples
    --------
    >>> sniff(b"RIFF\\x24\\x00\\x00\\x00WAVEfmt ")
    'wav'
    >>> sniff(b"key,label\\n")
    'text'
    """
    head = head[:HEAD_BYTES]
    if not head:
        return "empty"
    for offset, signature, kind in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind
    if head[4:8] == b"ftyp":
        if b"avif" in head[8:40]:  # AVIF may name the general brand mif1 first
            return "avif"
        return _BRANDS.get(head[8:12], "mp4")
    return _sniff_weak(head)


def _sniff_weak(head: bytes) -> str:
    """Tell types whose signature is short enough to occur by chance."""
    if head[:2] == b"BM" and len(head) >= 26 and head[14] in {12, 40, 52, 56, 64, 108, 124}:
        return "bmp"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#" and head[2:3]:
        return "pnm"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer = head[1] & 0x06  # MPEG audio frame: layer 0 is AAC, the others are MP1 to MP3
        return "mp3" if layer else "aac"
    if not _is_text(head):
        return "unknown"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "svg" if start.startswith(b"<svg") or b"<svg" in start[:HEAD_BYTES] else "text"


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.start > 0  # a letter cut by HEAD_BYTES
    return True


def expected_types(name: str) -> frozenset[str]:
    """Return the real types that a file of this name should have; none for an unknown ending.

    Examples
    --------
    >>> expected_types("cats/IMG_0001.JPG")
    frozenset({'jpeg'})
    >>> expected_types("README")
    frozenset()
    """
    ending = splitext(name)[1].removeprefix(".").lower()
    kind = _TYPE_OF_EXTENSION.get(ending)
    if kind == "heic":  # cameras write AV1 pictures under .heif, too
        return frozenset({"heic", "avif"})
    if kind in {"mp4", "m4a"}:
        return frozenset({"mp4", "m4a"})
    return frozenset({kind}) if kind else frozenset()


def sha256_of(content: bytes) -> str:
    """Return the hexadecimal sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def hash_samples(shape: str, samples: bytes | memoryview) -> str:
    """Return the XXH3 hash of what was decoded, 128 bits in hex.

    Chance gives one hash to two of a million files once in 1e27, and it takes a fraction of
    sha256's time; but it can be forged, so it is evidence of a copy, never the name of bytes.

    Parameters
    ----------
    shape : str
        What else makes samples the same: width and height, rate and channels.
    samples : bytes-like
    """
    digest = xxhash.xxh3_128(f"{shape}\n".encode())
    digest.update(samples)
    return digest.hexdigest()


def real_type(content: bytes, *, wanted: Collection[str], noun: str, most_bytes: int) -> str:
    """Return the real type of a file, one of `wanted`, or say why it cannot be used.

    Parameters
    ----------
    content : bytes
    wanted : collection of str
        Types that the caller can read.
    noun : str
        What the caller reads, as reasons call it: 'image' or 'sound'.
    most_bytes : int
        Larger files are refused.

    Raises
    ------
    UnusableFile
        zero_bytes, too_large, unsupported, not_media or unreadable.
    """
    if not content:
        raise UnusableFile("zero_bytes", "The file is empty (0 bytes).")
    if len(content) > most_bytes:
        raise UnusableFile(
            "too_large", f"The file has {len(content):,} bytes; at most {most_bytes:,} are read."
        )
    kind = sniff(content)
    if kind in wanted:
        return kind
    if kind in HOW_TO_CONVERT:
        raise UnusableFile("unsupported", f"{HOW_TO_CONVERT[kind]}.")
    if kind == "unknown":
        blank = not content.strip(b"\x00")
        raise UnusableFile(
            "unreadable",
            f"All {len(content):,} bytes are zero: the copy failed."
            if blank
            else f"The first bytes are those of no {noun} known here; it is damaged or of "
            "a kind that is not read. Convert it, or save it again.",
        )
    raise UnusableFile("not_media", f"The file is really {kind.upper()}; {noun}s are wanted here.")


def name_oddity(name: str, kind: str) -> tuple[Oddity, ...]:
    """Return the oddity of a name that promises another type than `kind`; none otherwise."""
    expected = expected_types(name)
    if not expected or kind in expected:
        return ()
    ending = splitext(name)[1]
    return (Oddity("wrong_extension", f"Named {ending}, but really {kind.upper()}."),)
