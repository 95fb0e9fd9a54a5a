"""Open and decode an image file once, as viewers show it, and make its smaller copies.

JPEGs whose sides are both more than twice `DECODE_SIDE` are decoded at 1/2, 1/4 or 1/8 of
their size (libjpeg's scaled decoding, 4 times as fast). The result is the same for the same
bytes and library.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from mlcore.files import MIME, UnusableFile

#: Pixels that an image may claim in its header: Pillow's own limit, 256 MB of RGB.
MOST_PIXELS = 89_478_485

#: Larger JPEGs are decoded at a fraction that still leaves both sides this long, in pixels.
DECODE_SIDE = 1024

#: Longest side of a preview, in pixels (design.md 3), and of a display copy.
PREVIEW_SIDE = 256
DISPLAY_SIDE = 2048

#: Originals of at most this many bytes serve as their own preview.
PREVIEW_BYTES = 65_536

#: JPEG qualities of previews and display copies (Pillow advises at most 95).
PREVIEW_QUALITY = 80
DISPLAY_QUALITY = 90

#: Types that every browser shows as they are.
SHOWN_TYPES = frozenset({"jpeg", "png", "webp", "gif", "bmp", "avif"})

_PILLOW_FORMATS = {
    "jpeg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "webp": ("WEBP",),
    "gif": ("GIF",),
    "bmp": ("BMP",),
    "tiff": ("TIFF",),
    "heic": ("HEIF",),
    "avif": ("AVIF",),
    "pnm": ("PPM",),
}

#: The last chunk of every PNG: no bytes, its name, its checksum.
PNG_END = b"IEND\xaeB`\x82"
TIFF_VERSION = 42
TIFF_ENTRY_BYTES = 12
TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
LEAST_BOX_BYTES = 8

#: What Pillow's readers raise on damaged files, besides OSError (found by cutting and flipping
#: bytes; tests/mlcore/test_images.py does it again).
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)

#: Two ways to end a JPEG that has no end mark. Where pixels are missing, the second makes other
#: pixels of its bits than the grey that the first leaves.
_ENDS = (b"\xff\xd9", b"\x55" * 64 + b"\xff\xd9")

_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})
_CLEAR_MODES = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})


@dataclass(frozen=True)
class Decoded:
    """One decoded file.

    `pixels` are turned and kept in their own depth; `picture` is the same as 8-bit RGB or L
    on white; width and height are those of the whole picture, before any reduction.
    """

    pixels: Image.Image
    picture: Image.Image
    width: int
    height: int
    original_mode: str
    orientation: int
    frames: int
    deep: bool


def open_image(content: bytes, kind: str, *, most_pixels: int) -> Image.Image:
    """Read the header with the one reader that suits; refuse what claims too many pixels."""
    if kind == "heic":
        import pillow_heif  # takes 50 ms; most imports have no HEIC

        pillow_heif.register_heif_opener()
    try:
        image = Image.open(io.BytesIO(content), formats=_PILLOW_FORMATS[kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableFile("decompression_bomb", f"Refused before decoding: {error}") from error
    except DECODING_ERRORS as error:
        raise _undecodable(content, kind, error) from error
    if image.width * image.height > most_pixels:
        raise UnusableFile(
            "decompression_bomb",
            f"The header claims {image.width:,} x {image.height:,} pixels in "
            f"{len(content):,} bytes; at most {most_pixels:,} pixels are decoded.",
        )
    return image


def decode_image(image: Image.Image, content: bytes, kind: str) -> Decoded:
    original_mode, (width, height) = image.mode, image.size
    try:
        turned_before = _turned_by_reader(image, content, kind)
        image = _loaded(image, content, kind)
        frames = getattr(image, "n_frames", 1) if kind != "jpeg" else 1
        orientation = _orientation(image)
        image.seek(0)
        turned = ImageOps.exif_transpose(image) if orientation in range(2, 9) else image
    except DECODING_ERRORS as error:
        raise _undecodable(content, kind, error) from error
    if orientation in range(5, 9):
        width, height = height, width
    pixels = _plain_mode(turned)
    return Decoded(
        pixels=pixels,
        picture=_on_white(pixels),
        width=width,
        height=height,
        original_mode=original_mode,
        orientation=next((o for o in (orientation, turned_before) if o in range(2, 9)), 1),
        frames=frames,
        deep=original_mode in _DEEP_MODES or _bits_per_sample(image, content, kind) > 8,
    )


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 to 8; 1 where EXIF cannot be read."""
    try:
        told = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(told) if int(told) in range(1, 9) else 1
    except DECODING_ERRORS:  # a picture with broken EXIF is still a picture
        return 1


def _turned_by_reader(image: Image.Image, content: bytes, kind: str) -> int:
    """Return the EXIF orientation of a TIFF or HEIC, whose readers turn it and then forget it.

    A HEIC is turned by boxes of its own (ISO/IEC 23008-12), which EXIF only repeats.
    """
    if kind == "tiff":
        return _orientation(image)
    head = content[:65_536]
    if kind == "heic" and (b"irot" in head or b"imir" in head):
        return int(image.info.get("original_orientation") or 1)
    return 1


def _loaded(image: Image.Image, content: bytes, kind: str) -> Image.Image:
    """Return the image with its pixels; a JPEG without end mark only if it has them all."""
    _reduce(image)
    try:
        image.load()
    except OSError:
        if kind != "jpeg" or has_end(content, kind):
            raise
        mended = [Image.open(io.BytesIO(content + end), formats=("JPEG",)) for end in _ENDS]
        for one in mended:
            _reduce(one)
        if mended[0].tobytes() != mended[1].tobytes():
            raise
        return mended[0]
    return image


def _reduce(image: Image.Image) -> None:
    if image.mode in {"RGB", "L"}:  # CMYK is shown as a copy, which wants the whole picture
        image.draft(None, (DECODE_SIDE, DECODE_SIDE))


def _undecodable(content: bytes, kind: str, error: Exception) -> UnusableFile:
    """Tell a file that breaks off from one that is damaged."""
    if isinstance(error, MemoryError):
        return UnusableFile("too_large", "Decoding the picture takes more memory than there is.")
    # the one's text is an object's address, the other's a format's name that the reader looked up
    header_only = isinstance(error, (UnidentifiedImageError, KeyError))
    detail = "its header cannot be read" if header_only else str(error)
    if "truncated" in detail.lower() or not has_end(content, kind):
        return UnusableFile(
            "truncated",
            f"The {kind.upper()} breaks off after {len(content):,} bytes, before its picture "
            f"is complete ({detail}).",
        )
    return UnusableFile("unreadable", f"The {kind.upper()} is damaged ({detail}).")


def has_end(content: bytes, kind: str) -> bool:
    """Say whether the file has the end that its format asks for; True where none is asked."""
    if kind == "jpeg":
        return content.rfind(b"\xff\xd9", -65_536) >= 0  # phones append data of their own behind it
    if kind == "png":
        return PNG_END in content[-65_536:]
    if kind == "gif":
        return content.rstrip(b"\x00").endswith(b";")
    if kind == "webp":
        return len(content) >= int.from_bytes(content[4:8].ljust(4, b"\xff"), "little") + 8
    if kind == "bmp":
        return len(content) >= int.from_bytes(content[2:6], "little")
    if kind == "tiff":
        return _has_directory(content)
    if kind in {"heic", "avif"}:
        return _has_boxes(content)
    return True


def _has_directory(content: bytes) -> bool:
    """Say whether a TIFF holds its first directory and what that points at but pixels.

    Many writers put both at the end.
    """
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"
    if int.from_bytes(content[2:4], order) != TIFF_VERSION:  # 64-bit addresses
        return True
    at = int.from_bytes(content[4:8], order)
    ends = at + 2 + int.from_bytes(content[at : at + 2], order) * TIFF_ENTRY_BYTES
    reach = [ends + 4]
    for entry in range(at + 2, min(ends, len(content)), TIFF_ENTRY_BYTES):
        kind, count, where = (
            int.from_bytes(content[entry + start : entry + stop], order)
            for start, stop in ((2, 4), (4, 8), (8, 12))
        )
        if (size := TIFF_TYPE_BYTES.get(kind, 0) * count) > 4:  # as much lies in the entry itself
            reach.append(where + size)
    return len(content) >= max(reach)


def _has_boxes(content: bytes) -> bool:
    """Say whether the last box of an ISO media file (14496-12) is whole; 0 reaches to its end."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4])
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16])
        if size < LEAST_BOX_BYTES:
            return size == 0
        at += size
    return at == len(content)


def _plain_mode(image: Image.Image) -> Image.Image:
    """Return pixels as L, RGB, RGBA or 16/32-bit grey, whatever way they were stored."""
    if image.mode in {"RGB", "L"} or image.mode in _DEEP_MODES:
        if "transparency" in image.info and image.mode in {"RGB", "L"}:
            return image.convert("RGBA")
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode in _CLEAR_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        least_alpha, _ = image.getchannel("A").getextrema()
        return image if least_alpha != 255 else image.convert("RGB")
    return image.convert("RGB")


def _on_white(pixels: Image.Image) -> Image.Image:
    """Return an 8-bit RGB or L picture; deep grey is stretched from its least to its most."""
    if pixels.mode in {"RGB", "L"}:
        return pixels
    if pixels.mode == "RGBA":
        white = Image.new("RGBA", pixels.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, pixels).convert("RGB")
    values = np.nan_to_num(np.asarray(pixels, np.float32))
    low, high = float(values.min()), float(values.max())
    stretched = (values - low) * (255 / (high - low)) if high > low else values * 0
    return Image.fromarray(stretched.astype(np.uint8))


def _bits_per_sample(image: Image.Image, content: bytes, kind: str) -> int:
    if kind == "png" and len(content) > 24:
        return content[24]  # IHDR
    if kind == "tiff":
        return max(getattr(image, "tag_v2", {}).get(258, (8,)))
    if kind == "heic":
        return int(image.info.get("bit_depth", 8))
    return 8


def preview_copy(content: bytes, kind: str, decoded: Decoded) -> tuple[bytes, str]:
    fits = max(decoded.width, decoded.height) <= PREVIEW_SIDE and len(content) <= PREVIEW_BYTES
    if fits and decoded.frames == 1 and not _wants_copy(kind, decoded):
        return content, MIME[kind]
    small = decoded.picture.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return _jpeg(small, PREVIEW_QUALITY), MIME["jpeg"]


def _wants_copy(kind: str, decoded: Decoded) -> bool:
    return kind not in SHOWN_TYPES or decoded.deep or decoded.original_mode == "CMYK"


def display_copy(kind: str, decoded: Decoded) -> tuple[bytes | None, str]:
    if not _wants_copy(kind, decoded):
        return None, ""
    copy = decoded.pixels if decoded.pixels.mode == "RGBA" else decoded.picture
    if max(copy.size) > DISPLAY_SIDE:
        scale = DISPLAY_SIDE / max(copy.size)  # a line stays one pixel wide
        copy = copy.resize([max(1, round(side * scale)) for side in copy.size])
    if copy.mode == "RGB":
        return _jpeg(copy, DISPLAY_QUALITY), MIME["jpeg"]
    out = io.BytesIO()
    copy.save(out, "PNG", exif=b"", icc_profile=None)
    return out.getvalue(), MIME["png"]


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, exif=b"", icc_profile=None)
    return out.getvalue()
