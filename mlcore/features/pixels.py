"""Decode pictures to small squares, cheaply: the one place where features read pixels."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps

from mlcore.decoding import DECODING_ERRORS, MOST_PIXELS, decode_image, open_image
from mlcore.files import IMAGE_TYPES, MOST_BYTES, real_type

SMALLEST_DRAFT = 0.89
"""Share of the wanted side that a JPEG draft may fall short of. A 400-pixel photo then comes
at half size (200) and is enlarged to 224: 2.0 instead of 4.2 CPU-ms a photo, and no accuracy
lost (clothing, 5 folds: .795 against .778)."""

Framing = Literal["centre", "whole"]


def decode_square(content: bytes, side: int, *, framing: Framing = "centre") -> np.ndarray:
    """Decode one picture to a square of RGB pixels, turned upright, on white.

    Parameters
    ----------
    content : bytes
        The original file.
    side : int
        Wanted side in pixels.
    framing : {"centre", "whole"}
        Cut the largest centred square out of the picture, or squeeze all of it into the square.

    Returns
    -------
    uint8 ndarray of shape (side, side, 3)

    Raises
    ------
    mlcore.files.UnusableFile
        If the content is no picture, is damaged or is too large.
    """
    upright = decode_upright(content, side)
    box = _centre_box(upright.size) if framing == "centre" else None
    # BOX averages the pixels it drops and costs half of BILINEAR, but enlarges to blocks
    # (1,667 pictures of 32 pixels, 5 folds: BOX .557, BILINEAR .628).
    enlarged = min(upright.size) < int(side * SMALLEST_DRAFT)
    filtering = Image.Resampling.BILINEAR if enlarged else Image.Resampling.BOX
    return np.asarray(upright.resize((side, side), filtering, box=box))


def decode_upright(content: bytes, side: int) -> Image.Image:
    """Decode one whole picture to RGB, turned upright, on white; sides may be longer than asked.

    Parameters
    ----------
    content : bytes
        The original file.
    side : int
        Shorter side in pixels that must not be lost, down to SMALLEST_DRAFT of it.

    Raises
    ------
    mlcore.files.UnusableFile
    """
    kind = real_type(content, wanted=IMAGE_TYPES, noun="image", most_bytes=MOST_BYTES)
    upright = _drafted_jpeg(content, side) if kind == "jpeg" else None
    if upright is None:
        image = open_image(content, kind, most_pixels=MOST_PIXELS)
        upright = decode_image(image, content, kind).picture.convert("RGB")
    return upright


def _drafted_jpeg(content: bytes, side: int) -> Image.Image | None:
    """Decode a JPEG at the smallest scale that serves; None where it wants the careful way."""
    draft = int(side * SMALLEST_DRAFT)
    try:
        image = Image.open(io.BytesIO(content), formats=("JPEG", "MPO"))
        if image.mode not in {"RGB", "L"} or image.width * image.height > MOST_PIXELS:
            return None
        image.draft(None, (draft, draft))
        image.load()
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return (ImageOps.exif_transpose(image) if turned else image).convert("RGB")
    except DECODING_ERRORS:
        return None  # `decode_image` mends what can be mended, and words the refusal


def _centre_box(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
