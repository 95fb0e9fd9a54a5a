"""What one decoded picture measures: light, sharpness, evenness, frame, colours."""

import math
from collections.abc import Sequence

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

#: Shares of the pixels below the luma that is called its low and its high end.
LOW_END, HIGH_END = 0.05, 0.95

#: Colours are looked at on a grid of this many pixels a side: 4,096 are sample enough.
COLOUR_SIDE = 64
#: Grids that are reckoned with at once; those of more pictures leave the processor's cache.
GRIDS = 8

#: Edges are looked at along at most this many lines of pixels: of a picture of 256 px every third,
#: so that all lines of JPEG's blocks of 8 have their turn.
EDGE_LINES = 96

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

#: Red against green, yellow against blue (Hasler and Suesstrunk 2003), luma (ITU-R BT.601).
_OPPOSED_AND_LUMA = np.array([[1, -1, 0], [0.5, 0.5, -1], [0.299, 0.587, 0.114]], np.float32)

_LEVELS = np.arange(256)
#: What a histogram's shares are multiplied with: for the mean and its square.
_LIGHT = np.stack([_LEVELS, _LEVELS**2], axis=1) * 1.0
_NEXT_TO_NOTHING = 1e-12  # keeps log2 from zero; a share of one pixel is 1e-8 at the least


def light_facts(greys: Sequence[Image.Image]) -> list[dict[str, Fact]]:
    """Measure the light of grey pictures by their histograms of luma (0 to 255).

    Returns
    -------
    list of dict
        brightness (mean), contrast (standard deviation), luma_low and luma_high (5 % of the
        pixels are darker or as dark, 95 %) and entropy (bits, 0 to 8).

    Examples
    --------
    >>> light_facts([Image.new("L", (8, 8), 90)])[0]["luma_high"]
    90
    """
    counts = np.array([grey.histogram() for grey in greys], np.float64)
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean, square = (shares @ _LIGHT).T
    below = shares.cumsum(axis=1)
    columns = {
        "brightness": mean.round(2),
        "contrast": np.sqrt(np.maximum(square - mean * mean, 0.0)).round(2),
        "luma_low": (below < LOW_END).sum(axis=1),
        "luma_high": np.minimum((below < HIGH_END).sum(axis=1), 255),
        "entropy": np.abs((shares * np.log2(shares + _NEXT_TO_NOTHING)).sum(axis=1)).round(3),
    }
    return _rows(columns)


def _rows(columns: dict[str, np.ndarray]) -> list[dict[str, Fact]]:
    """Return the facts of each picture, given each fact of all pictures."""
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def surface_facts(grey: Image.Image) -> dict[str, Fact]:
    """Measure edges of a grey picture of at most 256 px; a fixed size makes pictures comparable.

    Returns
    -------
    dict
        sharpness (variance of the Laplacian: Pech-Pacheco et al. 2000,
        doi:10.1109/ICPR.2000.903548; smaller pictures are not enlarged), even_share (of pixels,
        those whose Laplacian is 0) and frame_share (of the picture, what an even frame takes).

    Examples
    --------
    >>> surface_facts(Image.new("L", (64, 64), 128))
    {'sharpness': 0.0, 'even_share': 1.0, 'frame_share': 0.0}
    """
    if max(grey.size) > PREVIEW_SIDE:
        grey = ImageOps.contain(grey, (PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX)
    if min(grey.size) < 3:
        return {"sharpness": 0.0, "even_share": 1.0, "frame_share": 0.0}
    luma = np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.height, grey.width)
    variance, even = _laplacian(luma)
    return {
        "sharpness": round(variance, 2),
        "even_share": round(even, 4),
        "frame_share": round(frame_share(luma), 4),
    }


def _laplacian(luma: np.ndarray) -> tuple[float, float]:
    """Return the variance and the share of zeros of the Laplacian along at most EDGE_LINES."""
    step = math.ceil(len(luma) / EDGE_LINES)
    line = luma[1:-1:step]
    laplacian = np.multiply(line[:, 1:-1], 4, dtype=np.int16)
    laplacian -= luma[:-2:step, 1:-1]
    laplacian -= luma[2::step, 1:-1]
    laplacian -= line[:, :-2]
    laplacian -= line[:, 2:]
    values = laplacian.ravel().astype(np.float32)
    # Not `values @ values`: BLAS would wake a thread for every core and let it spin.
    square = float(np.einsum("i,i->", values, values)) / len(values)
    mean = float(np.einsum("i->", values)) / len(values)
    even = 1.0 - int(np.count_nonzero(laplacian)) / len(values)
    return max(square - mean * mean, 0.0), even


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
    if first + last >= len(lines):  # the slow waves of a plain ground: nothing is framed
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


def colour_facts(pictures: Sequence[Image.Image]) -> list[dict[str, Fact]]:
    """Measure pictures, RGB or L, on a grid of their pixels: averages would be duller.

    Returns
    -------
    list of dict
        colourfulness, 0 (grey) to about 110 (Hasler and Suesstrunk 2003); black_share and
        white_share (of pixels without texture: in the picture or in its middle, whichever is
        less, so that a dark or white ground around a thing that is well seen is no loss).

    Examples
    --------
    >>> colour_facts([Image.new("RGB", (8, 8), (9, 9, 9))])
    [{'colourfulness': 0.0, 'black_share': 1.0, 'white_share': 0.0}]
    """
    parts = (pictures[start : start + GRIDS] for start in range(0, len(pictures), GRIDS))
    return [facts for part in parts for facts in _colours(part)]


def _colours(pictures: Sequence[Image.Image]) -> list[dict[str, Fact]]:
    grids = np.frombuffer(b"".join(map(_grid, pictures)), np.uint8)
    grids = grids.reshape(len(pictures), COLOUR_SIDE * COLOUR_SIDE, 3)
    planes = grids.transpose(0, 2, 1).astype(np.float32, order="C")
    told = _OPPOSED_AND_LUMA @ planes
    opposed, luma = told[:, :2], told[:, 2]
    lightest = np.maximum(np.maximum(planes[:, 0], planes[:, 1]), planes[:, 2])
    means = opposed.mean(axis=2)
    opposed -= means[:, :, None]
    variance = np.einsum("nij,nij->n", opposed, opposed) / opposed.shape[2]
    colourfulness = np.sqrt(variance) + 0.3 * np.hypot(*means.T)
    columns = {
        "colourfulness": colourfulness.astype(float).round(2),
        "black_share": _share_all_over(luma <= BLACK_LUMA),
        "white_share": _share_all_over((lightest >= WHITE_LEVEL) & (luma >= MIDDLE_GREY)),
    }
    return _rows(columns)


def _grid(picture: Image.Image) -> bytes:
    """Return the pixels in the middles of COLOUR_SIDE x COLOUR_SIDE fields, RGB."""
    grid = picture.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.NEAREST)
    return (grid if grid.mode == "RGB" else grid.convert("RGB")).tobytes()


def _share_all_over(lost: np.ndarray) -> np.ndarray:
    """Return the share of each grid, or of the middle half of its sides if that is less."""
    lost = lost.reshape(-1, COLOUR_SIDE, COLOUR_SIDE)
    middle = slice(COLOUR_SIDE // 4, COLOUR_SIDE - COLOUR_SIDE // 4)
    shares = (part.mean(axis=(1, 2)) for part in (lost, lost[:, middle, middle]))
    return np.minimum(*shares).round(4)
