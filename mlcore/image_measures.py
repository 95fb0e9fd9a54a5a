"""What one decoded picture measures: light, sharpness, evenness, frame, colours."""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageOps

from mlcore.decoding import PREVIEW_SIDE
from mlcore.files import Fact

#: Luma at and below which a pixel is black: .5 % of full light, five stops below middle grey, where
#: a print shows no texture (zone 0 of Adams, The Negative, 1981).
BLACK_LUMA = 16
#: A channel at the end of its scale, give or take JPEG: what was lighter is cut off. In a pixel
#: darker than middle grey (18 % of full light) it is a pure colour.
WHITE_LEVEL = 254
MIDDLE_GREY = 118
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
"""Of red, green and blue: ITU-R BT.601, as in JPEG."""

#: Shares of the pixels below the luma that is called its low and its high end.
LOW_END, HIGH_END = 0.05, 0.95

#: Colours are looked at on a grid of at most this many pixels a side: 4,096 are sample enough.
COLOUR_SIDE = 64

#: Grey levels by which the pixels of a frame differ at most (standard deviation of a row): JPEG.
FRAME_DEVIATION = 3.0
#: Grey levels from the frame's own from which a pixel is another thing.
FRAME_STEP = 12
#: Share of the row behind a frame that is another thing: a frame ends along a straight line, the
#: plain ground around an object ends here and there.
FRAME_END = 0.8
#: Share of a line that this holds for; the rest is where a frame's other sides cross it.
FRAME_SPAN = 0.7
#: Share of the frame's own pixels that may be another thing: JPEG's ringing at its inner edge.
FRAME_SPECKS = 0.05

_LEVELS = np.arange(256)
#: What a histogram's shares are multiplied with: for the mean and its square.
_LIGHT = np.stack([_LEVELS, _LEVELS**2], axis=1) * 1.0
_NEXT_TO_NOTHING = 1e-12  # keeps log2 from zero; a share of one pixel is 1e-8 at the least


def light_facts(grey: Image.Image) -> dict[str, Fact]:
    """Measure the light of a grey picture by its histogram of luma (0 to 255).

    Returns
    -------
    dict
        brightness (mean), contrast (standard deviation), luma_low and luma_high (5 % of the
        pixels are darker or as dark, 95 %) and entropy (bits, 0 to 8).

    Examples
    --------
    >>> light_facts(Image.new("L", (8, 8), 90))["luma_high"]
    90
    """
    counts = np.array(grey.histogram(), np.float64)
    shares = counts / (grey.width * grey.height)
    mean, square = (shares @ _LIGHT).tolist()
    low, high = np.searchsorted(shares.cumsum(), (LOW_END, HIGH_END)).tolist()
    return {
        "brightness": round(mean, 2),
        "contrast": round(math.sqrt(max(square - mean * mean, 0.0)), 2),
        "luma_low": low,
        "luma_high": min(high, 255),
        "entropy": round(abs(float(shares @ np.log2(shares + _NEXT_TO_NOTHING))), 3),
    }


def surface_facts(grey: Image.Image) -> dict[str, Fact]:
    """Measure edges of a grey picture of at most 256 px; a fixed size makes pictures comparable.

    Returns
    -------
    dict
        sharpness (variance of the Laplacian), even_share (of pixels, those whose Laplacian is 0)
        and frame_share (of the picture, what an even frame takes).
    """
    if max(grey.size) > PREVIEW_SIDE:
        grey = ImageOps.contain(grey, (PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX)
    width, height = grey.size
    if min(width, height) < 3:
        return {"sharpness": 0.0, "even_share": 1.0, "frame_share": 0.0}
    luma = np.frombuffer(grey.tobytes(), np.uint8)
    variance, even = _laplacian(luma.astype(np.int16), width, height)
    return {
        "sharpness": round(variance, 2),
        "even_share": round(even, 4),
        "frame_share": round(frame_share(luma.reshape(height, width)), 4),
    }


def sharpness(grey: Image.Image) -> float:
    """Return the variance of the Laplacian of a grey picture of at most 256 px.

    Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548. Smaller pictures are not enlarged.

    Examples
    --------
    >>> sharpness(Image.new("L", (64, 64), 128))
    0.0
    """
    found = surface_facts(grey)["sharpness"]
    assert isinstance(found, float)
    return found


def _laplacian(g: np.ndarray, width: int, height: int) -> tuple[float, float]:
    """Return the Laplacian's variance and the share of its zeros.

    Rows lie one after the other in one vector: whole passes in 16 bits are several times as fast.
    What wraps around at the sides falls on the first and last column, which do not count.
    """
    around = g[: -2 * width] + g[2 * width :]
    around += g[width - 1 : -width - 1]
    around += g[width + 1 : 1 - width]
    laplacian = (g[width:-width] << 2) - around
    laplacian = laplacian.reshape(height - 2, width)
    laplacian[:, 0] = laplacian[:, -1] = 0
    n_values = (height - 2) * (width - 2)
    n_even = laplacian.size - int(np.count_nonzero(laplacian)) - 2 * (height - 2)
    values = laplacian.ravel().astype(np.float32)
    # Not `values @ values`: BLAS would wake a thread for every core and let it spin.
    square = float(np.einsum("i,i->", values, values)) / n_values
    mean = float(np.einsum("i->", values)) / n_values
    return max(square - mean * mean, 0.0), n_even / n_values


def frame_share(luma: np.ndarray) -> float:
    """Return the share of a picture that an even frame, or bars at opposite sides, takes.

    Parameters
    ----------
    luma : uint8 ndarray of shape (height, width)

    Returns
    -------
    float
        0 to 1; 0 where the even part ends in no straight line, as the ground around an object.

    Examples
    --------
    >>> luma = np.arange(400, dtype=np.uint8).reshape(20, 20)
    >>> luma[:4] = luma[-4:] = 0
    >>> frame_share(luma)
    0.4
    """
    height, width = luma.shape
    left, right = _bars(luma.T)
    top, bottom = _bars(luma[:, left : width - right])
    return 1.0 - (width - left - right) * (height - top - bottom) / (width * height)


def _bars(lines: np.ndarray) -> tuple[int, int]:
    """Return how many lines the bars at both ends have; a bar at one end alone is sky or floor."""
    first = _bar(lines)
    last = _bar(lines[::-1]) if first else 0  # most pictures have none: half of the time
    if not last or abs(float(lines[0].mean()) - float(lines[-1].mean())) > FRAME_STEP:
        return 0, 0
    return first, last


def _bar(lines: np.ndarray) -> int:
    """Return how many even lines of one grey stand before a line that is mostly another."""
    first = lines[0].astype(np.float64)
    mean = float(np.add.reduce(first)) / len(first)
    first -= mean
    if float(first @ first) > FRAME_DEVIATION**2 * len(first):
        return 0
    is_other = np.abs(lines.astype(np.int16) - round(mean)) > FRAME_STEP
    others = is_other.mean(axis=1)
    end = int(np.argmax(others >= FRAME_END * FRAME_SPAN))  # 0 where there is no such line
    if not end or others[:end].mean() > FRAME_SPECKS:
        return 0
    behind = np.flatnonzero(is_other[end])
    span = int(behind[-1] - behind[0]) + 1
    is_straight = span >= FRAME_SPAN * len(first) and len(behind) >= FRAME_END * span
    return end if is_straight else 0


def colour_facts(pixels: np.ndarray) -> dict[str, Fact]:
    """Measure a picture on a grid: averages would be duller.

    Parameters
    ----------
    pixels : uint8 ndarray of shape (height, width, 3)
        Red, green, blue.

    Returns
    -------
    dict
        colourfulness, black_share and white_share (of pixels without texture: in the picture or
        in its middle, whichever is less, so that a dark or white ground around a thing that is
        well seen is no loss).

    Examples
    --------
    >>> colour_facts(np.full((8, 8, 3), 9, np.uint8))
    {'colourfulness': 0.0, 'black_share': 1.0, 'white_share': 0.0}
    """
    height, width = pixels.shape[:2]
    grid = pixels.take(_sample(height), axis=0).take(_sample(width), axis=1)
    luma = grid @ LUMA_WEIGHTS
    is_white = (grid.max(axis=2) >= WHITE_LEVEL) & (luma >= MIDDLE_GREY)
    return {
        "colourfulness": round(colourfulness(grid), 2),
        "black_share": _share_all_over(luma <= BLACK_LUMA),
        "white_share": _share_all_over(is_white),
    }


def _share_all_over(lost: np.ndarray) -> float:
    """Return the share of a picture, or of the middle half of its sides if that is less."""
    height, width = lost.shape
    middle = lost[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return round(float(min(lost.mean(), middle.mean())), 4)


def colourfulness(pixels: np.ndarray) -> float:
    """Return how colourful a picture is, 0 (grey) to about 110 (Hasler and Suesstrunk 2003).

    Parameters
    ----------
    pixels : uint8 ndarray of shape (height, width, 3)
        Red, green, blue.

    Examples
    --------
    >>> colourfulness(np.full((8, 8, 3), 90, np.uint8))
    0.0
    """
    red, green, blue = pixels.reshape(-1, 3).T.astype(np.float32, order="C")
    variance = mean_square = 0.0
    for opposed in (red - green, (red + green) * np.float32(0.5) - blue):
        mean = float(np.add.reduce(opposed)) / len(opposed)
        opposed -= np.float32(mean)
        variance += float(np.einsum("i,i->", opposed, opposed)) / len(opposed)
        mean_square += mean * mean
    return math.sqrt(variance) + 0.3 * math.sqrt(mean_square)


@lru_cache(maxsize=64)
def _sample(length: int) -> np.ndarray:
    """Return the middles of at most `COLOUR_SIDE` parts of a side."""
    parts = min(length, COLOUR_SIDE)
    return ((np.arange(parts) + 0.5) * length / parts).astype(int)
