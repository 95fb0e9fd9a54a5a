"""One look at an image file: is it usable, what does it show, what is odd about it.

The file is decoded once (`mlcore.decoding`), and everything is measured on that one decode,
hashes included. What counts as "the picture" is what a viewer shows: turned as EXIF says, on
white where it is transparent, the first frame of several.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from PIL import ExifTags, Image

from mlcore.decoding import (
    DECODING_ERRORS,
    MOST_PIXELS,
    Decoded,
    decode_image,
    display_copy,
    has_end,
    open_image,
    preview_copy,
)
from mlcore.files import (
    IMAGE_TYPES,
    MIME,
    MOST_BYTES,
    Fact,
    Measured,
    Oddity,
    UnusableFile,
    hash_samples,
    name_oddity,
    real_type,
)
from mlcore.frames import frame_shares, rim_of
from mlcore.image_hashes import Hashed, grey_fields, hashes_of
from mlcore.image_measures import colour_facts, light_facts, surface_facts

#: Shorter sides are called tiny, in pixels: a backbone's first layer alone halves them to 4.
TINY_SIDE = 8

#: Pictures that are measured together, and about how many pixels they have: one thing done to all
#: of them, then the next, takes less time than one picture after the other (bench/intake.py).
PICTURES_TOGETHER = 32
PIXELS_TOGETHER = 2**21

#: Grey levels (standard deviation at 32 x 32) below which a picture is blank: JPEG noise.
BLANK_DEVIATION = 1.0
#: Grey levels (standard deviation of all pixels) below which a flat picture shows nothing: paper,
#: a lens cap or a wall, with noise and the shading of a lamp (up to 6.3 on the demo's paper). The
#: plainest of 5,000 photos of CIFAR-10 has 7.2, of 400 of clothing 16, and none of them is flat.
BLANK_CONTRAST = 8.0

#: With fewer than this many of 63 coefficients above noise, most bits of the hash are chance.
LEAST_STRUCTURE = 12

# glibc returns blocks of 128 KiB and more to the system at once and has the next one made of
# zeroed pages, until a larger one was freed: mallopt(3), M_MMAP_THRESHOLD. Small pictures are
# measured for little more than half the CPU after this (bench/intake.py).
bytes(2 * 2**20)

_STANDARD_LUMA_TABLE_SUM = 3691  # of ITU T.81 table K.1, for the quality estimate


def measure_image(
    content: bytes, name: str, *, most_pixels: int = MOST_PIXELS, most_bytes: int = MOST_BYTES
) -> Measured:
    """Decode an image once and measure it.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        Its path; only the ending matters, for the oddity `wrong_extension`.
    most_pixels : int
        Width x height that the header may claim; more is refused before decoding.
    most_bytes : int
        Larger files are refused.

    Returns
    -------
    Measured
        Facts: width, height (px, as shown), mode, orientation (EXIF 1 to 8), frames, frame_share
        (`mlcore.frames`), those of `mlcore.image_measures`, deviation (of the 32 x 32 grey
        picture), structure (of 63 hash coefficients, those above noise), transparent_share; where
        known also jpeg_quality (1 to 100), captured_at (ISO 8601) and camera.
        Oddities: wrong_extension, exif_rotated, animated, many_pages, cmyk, sixteen_bit,
        truncated_tail, blank, tiny.

    Raises
    ------
    UnusableFile
        zero_bytes, too_large, decompression_bomb, truncated, unreadable, unsupported,
        not_media.
    """
    (found,) = measure_images([(content, name)], most_pixels=most_pixels, most_bytes=most_bytes)
    if isinstance(found, UnusableFile):
        raise found
    return found


def measure_images(
    files: Iterable[tuple[bytes, str]],
    *,
    most_pixels: int = MOST_PIXELS,
    most_bytes: int = MOST_BYTES,
) -> list[Measured | UnusableFile]:
    """Measure images a few at a time, which takes a third less than one by one.

    Parameters
    ----------
    files : iterable of (bytes, str)
        Contents and names as for `measure_image`.
    most_pixels, most_bytes : int
        As there.

    Returns
    -------
    list of Measured or UnusableFile
        In the order of the files; each as `measure_image` returns or raises it.
    """
    found: dict[int, Measured | UnusableFile] = {}
    waiting: dict[int, _Opened] = {}
    pixels = 0
    for place, (content, name) in enumerate(files):
        try:
            opened = _open(content, name, most_pixels, most_bytes)
        except UnusableFile as error:
            found[place] = error
            continue
        waiting[place] = opened
        pixels += opened.decoded.picture.width * opened.decoded.picture.height
        if len(waiting) >= PICTURES_TOGETHER or pixels >= PIXELS_TOGETHER:
            found.update(_measure_together(waiting))
            waiting, pixels = {}, 0
    found.update(_measure_together(waiting))
    return [found[place] for place in range(len(found))]


@dataclass(frozen=True)
class _Opened:
    """A decoded file, and facts of its header."""

    content: bytes
    name: str
    kind: str
    decoded: Decoded
    header: dict[str, Fact]


def _open(content: bytes, name: str, most_pixels: int, most_bytes: int) -> _Opened:
    kind = real_type(content, wanted=IMAGE_TYPES, noun="image", most_bytes=most_bytes)
    image = open_image(content, kind, most_pixels=most_pixels)
    header = _jpeg_quality(image) | _exif_facts(image, kind)
    return _Opened(content, name, kind, decode_image(image, content, kind), header)


def _measure_together(opened: dict[int, _Opened]) -> dict[int, Measured]:
    """Measure pictures step by step, each step on all of them."""
    if not opened:
        return {}
    pictures = [one.decoded.picture for one in opened.values()]
    sampled = [_sampled(one.decoded) for one in opened.values()]
    colours = colour_facts([one.colours for one in sampled])
    frames = frame_shares(pictures, [one.rim for one in sampled])
    hashed = hashes_of([one.luma for one in sampled])
    light = light_facts([one.light for one in sampled])
    surfaces = [surface_facts(one.luma) for one in sampled]
    facts = [one | two | three for one, two, three in zip(light, surfaces, colours, strict=True)]
    together = zip(opened.items(), sampled, hashed, facts, frames, strict=True)
    return {
        place: _measured(one, samples.pixel_hash, hashes, {**shown, "frame_share": round(frame, 4)})
        for (place, one), samples, hashes, shown, frame in together
    }


def _measured(opened: _Opened, pixel_hash: str, hashed: Hashed, shown: dict[str, Fact]) -> Measured:
    content, kind, decoded = opened.content, opened.kind, opened.decoded
    facts: dict[str, Fact] = {
        "width": decoded.width,
        "height": decoded.height,
        "mode": decoded.original_mode,
        "orientation": decoded.orientation,
        "frames": decoded.frames,
        **shown,
        "deviation": hashed.deviation,
        "structure": hashed.structure,
        "transparent_share": _transparent_share(decoded.pixels),
        **opened.header,
    }
    preview, preview_mime = preview_copy(content, kind, decoded)
    display, display_mime = display_copy(kind, decoded)
    flat = hashed.deviation < BLANK_DEVIATION or hashed.structure < LEAST_STRUCTURE
    return Measured(
        size=len(content),
        type=kind,
        mime=MIME[kind],
        facts=facts,
        oddities=name_oddity(opened.name, kind) + _oddities(content, kind, decoded, facts, flat),
        pixel_hash=pixel_hash,
        phash=hashed.phash,
        flat=flat,
        preview=preview,
        preview_mime=preview_mime,
        small_grey=hashed.small,
        display=display,
        display_mime=display_mime,
    )


def small_grey(content: bytes) -> bytes:
    """Return what `measure_image` keeps as `small_grey`, for a picture measured before.

    Raises
    ------
    UnusableFile
    """
    kind = real_type(content, wanted=IMAGE_TYPES, noun="image", most_bytes=MOST_BYTES)
    decoded = decode_image(open_image(content, kind, most_pixels=MOST_PIXELS), content, kind)
    return grey_fields(_luma_of(_as_pixels(decoded.picture.tobytes(), decoded.picture)))


@dataclass(frozen=True)
class _Sampled:
    """What is taken of a picture's pixels while they are in the processor's cache."""

    pixel_hash: str
    rim: list[np.ndarray]
    colours: np.ndarray
    luma: np.ndarray
    light: np.ndarray


def _sampled(decoded: Decoded) -> _Sampled:
    """Hash the shown pixels with the picture's size; equal grey in L and RGB is equal."""
    from mlcore.pixel_sums import colour_grid, histogram

    pixels, picture = decoded.pixels, decoded.picture
    if pixels.mode == "L":
        pixels = pixels.convert("RGB")
    shape = f"{pixels.mode} {decoded.width} {decoded.height} {pixels.width} {pixels.height}"
    samples = pixels.tobytes()
    pixel_hash = hash_samples(shape, samples)
    if pixels.mode != "RGB":
        del samples  # of a large picture, two copies are too many
        samples = picture.tobytes()
    shown = _as_pixels(samples, picture)
    luma = _luma_of(shown)
    return _Sampled(pixel_hash, rim_of(shown), colour_grid(shown), luma, histogram(luma))


def _as_pixels(samples: bytes, picture: Image.Image) -> np.ndarray:
    return np.frombuffer(samples, np.uint8).reshape(picture.height, picture.width, -1)


def _luma_of(pixels: np.ndarray) -> np.ndarray:
    from mlcore.pixel_sums import luma_of

    return pixels[:, :, 0] if pixels.shape[2] == 1 else luma_of(pixels)


def _transparent_share(pixels: Image.Image) -> float:
    if pixels.mode != "RGBA":
        return 0.0
    return round(float((np.asarray(pixels.getchannel("A")) < 128).mean()), 4)


def _jpeg_quality(image: Image.Image) -> dict[str, Fact]:
    """Estimate libjpeg's quality from the first quantisation table; exact for libjpeg's own."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return {}
    scale = 100 * sum(tables[min(tables)]) / _STANDARD_LUMA_TABLE_SUM
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return {"jpeg_quality": int(min(100, max(1, round(quality))))}


def _exif_facts(image: Image.Image, kind: str) -> dict[str, Fact]:
    """Return when and with what a picture was taken; never where."""
    if "exif" not in image.info and kind != "tiff":
        return {}
    try:
        exif = image.getexif()
        photo = exif.get_ifd(ExifTags.IFD.Exif)
    except DECODING_ERRORS:  # a picture with broken EXIF is still a picture
        return {}
    facts: dict[str, Fact] = {}
    taken = photo.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    captured_at = _iso_time(str(taken or ""), str(photo.get(36881) or ""))
    if captured_at:
        facts["captured_at"] = captured_at
    camera = f"{exif.get(ExifTags.Base.Make, '')} {exif.get(ExifTags.Base.Model, '')}"
    camera = " ".join(camera.replace("\x00", " ").split())[:100]
    if camera:
        facts["camera"] = camera
    return facts


def _iso_time(taken: str, offset: str) -> str:
    try:
        moment = datetime.strptime(taken.strip("\x00 ")[:19], "%Y:%m:%d %H:%M:%S")
        zone = offset.strip("\x00 ")
        return datetime.fromisoformat(f"{moment.isoformat()}{zone}").isoformat()
    except ValueError:  # cameras without a clock write zeros or blanks
        return ""


def _oddities(
    content: bytes, kind: str, decoded: Decoded, facts: dict[str, Fact], flat: bool
) -> tuple[Oddity, ...]:
    found = []
    if decoded.orientation != 1:
        turned = "pixels are turned or mirrored; it is shown and measured upright."
        told = f"EXIF orientation {decoded.orientation}: the stored {turned}"
        found.append(Oddity("exif_rotated", told))
    if decoded.frames > 1 and kind in {"tiff", "heic", "pnm"}:
        found.append(Oddity("many_pages", f"{decoded.frames} pages; only the first is used."))
    elif decoded.frames > 1:
        found.append(Oddity("animated", f"{decoded.frames} frames; only the first is used."))
    if decoded.original_mode == "CMYK":
        found.append(Oddity("cmyk", "CMYK, made for print; colours are approximate on screens."))
    if decoded.deep:
        found.append(Oddity("sixteen_bit", "More than 8 bits a channel; shown in 8 bits."))
    if not has_end(content, kind):
        found.append(Oddity("truncated_tail", "The end mark is missing; all pixels are there."))
    if flat and facts["contrast"] < BLANK_CONTRAST:  # type: ignore[operator]
        found.append(Oddity("blank", "Nothing is to be seen: an even surface and noise."))
    if min(decoded.width, decoded.height) < TINY_SIDE:
        found.append(Oddity("tiny", f"Only {decoded.width} x {decoded.height} pixels."))
    return tuple(found)
