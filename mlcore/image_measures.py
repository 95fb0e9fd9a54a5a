"""What one decoded picture measures: light, sharpness, evenness, frame, colours."""

import math
from collections.abc import Sequence
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

#: Levels by which another channel is darker where a colour was cut off rather than white; beside a
#: white ground, colours bleed by nearly as many (JPEG).
OFF_WHITE = 14
#: Levels just below the end, as far as JPEG and noise spread what was cut off. Paper and walls in
#: full light reach the end, too, but most of their pixels lie here; what was cut off heaps up.
NEAR_WHITE = 10

#: Shares of the pixels below the luma that is called its low and its high end.
LOW_END, HIGH_END = 0.05, 0.95

#: Colours are looked at on a grid of this many pixels a side: 4,096 are sample enough.
COLOUR_SIDE = 64
#: Grids that are reckoned with at once; those of more pictures leave the processor's cache.
GRIDS = 8

#: Edges are looked at along at most this many lines of pixels: of a picture of 256 px every third,
#: so that all lines of JPEG's blocks of 8 have their turn.
EDGE_LINES = 96

#: Pixels that the widest edge is said to take: a slope without an end.
WIDEST = 64.0

#: Variance of luma by rounding: its own to whole levels, and red's, green's and blue's before.
ROUNDED = (1 + 0.299**2 + 0.587**2 + 0.114**2) / 12

#: Levels of a channel by which a pixel of one colour differs from that colour's mean: JPEG.
SAME_COLOUR = 12
#: Colours are counted by this many bits of each channel.
_COLOUR_BITS = 4

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
    counts = np.array([grey.histogram() for grey in greys], np.float64).reshape(-1, 256)
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean, square = (counts @ _LIGHT).T / counts.sum(axis=1)  # whole sums: the same in any batch
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
        those whose Laplacian is 0) and edge_width (px that an edge is spread over, along the
        axis or diagonal where it is most: `_edge_width`).

    Examples
    --------
    >>> surface_facts(Image.new("L", (64, 64), 128))
    {'sharpness': 0.0, 'even_share': 1.0, 'edge_width': 1.0}
    >>> bars = np.tile(np.repeat([0, 200], 8).astype(np.uint8), (16, 1))
    >>> surface_facts(Image.fromarray(bars))["edge_width"]
    1.0
    """
    if max(grey.size) > PREVIEW_SIDE:
        grey = ImageOps.contain(grey, (PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX)
    if min(grey.size) < 3:
        return {"sharpness": 0.0, "even_share": 1.0, "edge_width": 1.0}
    luma = np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.height, grey.width)
    risen, bent = _risen_and_bent(luma)
    variance, even = _laplacian(bent)
    return {
        "sharpness": round(variance, 2),
        "even_share": round(even, 4),
        "edge_width": round(_edge_width(risen, bent, rounded=ROUNDED * (1.0 - even)), 3),
    }


def _risen_and_bent(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much luma rises over two steps, and how much more over the second.

    Parameters
    ----------
    luma : uint8 ndarray of shape (height, width), 3 x 3 at least

    Returns
    -------
    two of int16 ndarray of shape (4, n_lines, width)
        Across, down and along both diagonals, around the pixels of at most EDGE_LINES; 0 in the
        first and the last column.
    """
    step = math.ceil(len(luma) / EDGE_LINES)
    lines = np.array([luma[at : len(luma) - 2 + at : step] for at in range(3)], np.int16)
    above, line, below = lines.reshape(3, -1)  # flat is fastest, and wrong at both ends of a line
    ways = (
        (line[:-2], line[2:]),
        (above[1:-1], below[1:-1]),
        (above[:-2], below[2:]),
        (above[2:], below[:-2]),
    )
    risen, bent = both = np.zeros((2, len(ways), *lines.shape[1:]), np.int16)
    inner = both.reshape(2, len(ways), -1)[:, :, 1:-1]
    for at, (before, behind) in enumerate(ways):
        np.subtract(behind, before, out=inner[0, at])
        np.add(behind, before, out=inner[1, at])
    inner[1] -= 2 * line[1:-1]
    both[..., :: luma.shape[1] - 1] = 0
    return risen, bent


def _edge_width(risen: np.ndarray, bent: np.ndarray, *, rounded: float) -> float:
    """Return over how many pixels edges are spread along the smoothest of four directions.

    Motion smooths along its own direction alone, a lens out of focus along all. Where an edge
    rises evenly over w pixels, a step to the next pixel and the step after it correlate by
    r = 1 - 1/w: 0 where it is sharp, 1 where it never ends, -1/2 in noise. So how much is to be
    seen in a picture, or how strongly, does not matter, only how finely. The squares of both
    steps' sum and difference are as 1 + r to 1 - r, less what rounding brings into them: of a
    strongly blurred picture it is nearly all that bends.

    Parameters
    ----------
    risen, bent : int16 ndarray of shape (4, n_lines, width)
    rounded : float
        Variance of luma by rounding: twice into the sum of both steps, six times (1, -2 and 1
        squared) into the difference.

    Returns
    -------
    float
        1/2 to WIDEST: 2/3 in noise, 1 where edges are sharp or nothing differs.
    """
    noise = rounded * risen.shape[1] * (risen.shape[2] - 2)
    pairs = zip(_squares(risen), _squares(bent), strict=True)
    return max(_width(rise - 2 * noise, bend - 6 * noise) for rise, bend in pairs)


def _width(rise: float, bend: float) -> float:
    if bend > 0:
        return min((1 + max(rise, 0.0) / bend) / 2, WIDEST)
    return WIDEST if rise > 0 else 1.0


def _squares(values: np.ndarray) -> list[float]:
    """Return the sum of squares of each int16 (n_lines, width)."""
    exact = values.astype(np.float32)
    # Line by line: for a longer product BLAS would wake a thread for every core and let it spin.
    return np.vecdot(exact, exact).sum(axis=-1, dtype=float).tolist()


def _laplacian(bent: np.ndarray) -> tuple[float, float]:
    """Return the variance and the share of zeros of the Laplacian, across and down together."""
    laplacian = bent[:1] + bent[1:2]
    n_pixels = laplacian.shape[1] * (laplacian.shape[2] - 2)
    square = _squares(laplacian)[0] / n_pixels
    mean = int(laplacian.sum(dtype=np.int32)) / n_pixels
    even = 1.0 - int(np.count_nonzero(laplacian)) / n_pixels
    return max(square - mean * mean, 0.0), even


def colour_grid(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels in the middles of COLOUR_SIDE x COLOUR_SIDE fields: averages are duller.

    Parameters
    ----------
    pixels : uint8 ndarray of shape (height, width, 1 or 3)

    Returns
    -------
    uint8 ndarray of shape (3, COLOUR_SIDE * COLOUR_SIDE)
        Red, green and blue.
    """
    return pixels.ravel().take(_grid_places(*pixels.shape))


@lru_cache(maxsize=16)
def _grid_places(height: int, width: int, n_channels: int) -> np.ndarray:
    middles = 2 * np.arange(COLOUR_SIDE) + 1
    rows, columns = (middles * side // (2 * COLOUR_SIDE) for side in (height, width))
    first = (rows[:, None] * width + columns).ravel() * n_channels
    return first + np.minimum(np.arange(3), n_channels - 1)[:, None]


def colour_facts(grids: Sequence[np.ndarray]) -> list[dict[str, Fact]]:
    """Measure pictures by their `colour_grid`.

    Returns
    -------
    list of dict
        colourfulness, 0 (grey) to about 110 (Hasler and Suesstrunk 2003); two_colour_share (of
        pixels, those of the two most common colours); black_share and
        white_share (of pixels without texture: in the picture or in its middle, whichever is
        less, so that a dark or white ground around a thing that is well seen is no loss) and
        clipped_share (of all pixels without texture, those that are neither white nor in a field
        of one even colour: colours cut off; less those alike just below the end) and
        weakest_channel (mean of the darkest channel over that of the lightest, 0 to 1).

    Examples
    --------
    >>> colour_facts([colour_grid(np.full((8, 8, 3), 9, np.uint8))])
    [{'colourfulness': 0.0, 'two_colour_share': 1.0, 'black_share': 1.0, 'white_share': 0.0,
      'weakest_channel': 1.0, 'clipped_share': 0.0}]
    """
    parts = (np.stack(grids[start : start + GRIDS]) for start in range(0, len(grids), GRIDS))
    return [facts for part in parts for facts in _colours(part)]


def _colours(channels: np.ndarray) -> list[dict[str, Fact]]:
    red, green, blue = channels.transpose(1, 0, 2)
    planes = channels.astype(np.float32)
    told = _OPPOSED_AND_LUMA @ planes
    opposed, luma = told[:, :2], told[:, 2]
    lightest = np.maximum(np.maximum(red, green), blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    is_light = luma >= MIDDLE_GREY
    is_cut = (lightest >= WHITE_LEVEL) & is_light
    is_near = (lightest >= WHITE_LEVEL - NEAR_WHITE) & is_light & ~is_cut
    is_coloured = (lightest - darkest >= OFF_WHITE) & _is_uneven(luma)
    means = opposed.mean(axis=2)
    opposed -= means[:, :, None]
    variance = np.einsum("nij,nij->n", opposed, opposed) / opposed.shape[2]
    colourfulness = np.sqrt(variance) + 0.3 * np.hypot(*means.T)
    columns = {
        "colourfulness": colourfulness.astype(float).round(2),
        "two_colour_share": _two_colour_shares(channels, planes),
        "black_share": _share_all_over(luma <= BLACK_LUMA),
        "white_share": _share_all_over(is_cut),
        "weakest_channel": _weakest(planes.mean(axis=2)),
        "clipped_share": _share_above(is_cut & is_coloured, is_near & is_coloured),
    }
    return _rows(columns)


def _is_uneven(luma: np.ndarray) -> np.ndarray:
    """Tell of each pixel of `colour_grid`s whether one of the four beside it is of another luma.

    A field of one colour was painted so: there was nothing in it that light could cut off.
    """
    uneven = np.zeros(luma.shape, bool)
    for step in (1, COLOUR_SIDE):  # the last of a line beside the first of the next: no matter
        differs = luma[:, step:] != luma[:, :-step]
        uneven[:, step:] |= differs
        uneven[:, :-step] |= differs
    return uneven


def _weakest(means: np.ndarray) -> np.ndarray:
    """Return the darkest channel's mean over the lightest's; 1 for pictures that are black."""
    return (np.maximum(means.min(axis=1), 1.0) / np.maximum(means.max(axis=1), 1.0)).round(4)


def _share_above(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return by which share of each row more is found than expected, 0 at the least."""
    return np.maximum(_shares(found) - _shares(expected), 0.0).round(4)


def _shares(found: np.ndarray) -> np.ndarray:
    """Return the share of each row, a multiple of 8 long, that is true: bits are counted fast."""
    counts = np.bitwise_count(np.packbits(found, axis=1)).sum(axis=1, dtype=int)
    return np.asarray(counts / found.shape[1])


def _two_colour_shares(channels: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Return the share of pixels that have one of two colours, give or take SAME_COLOUR.

    Parameters
    ----------
    channels, planes : uint8 and float32 ndarray of shape (n_pictures, 3, n_pixels)
        The same levels twice.
    """
    own, n_colours = np.arange(len(channels)), 2 ** (3 * _COLOUR_BITS)
    coarse = (channels >> (8 - _COLOUR_BITS)).astype(np.int16)
    coarse = coarse[:, 0] << 2 * _COLOUR_BITS | coarse[:, 1] << _COLOUR_BITS | coarse[:, 2]
    codes = coarse + n_colours * own[:, None]  # of each picture its own, counted at once
    left = np.ones(coarse.shape, bool)
    for _colour in range(2):
        counts = np.bincount(codes[left], minlength=n_colours * len(own)).reshape(len(own), -1)
        commonest = counts.argmax(axis=1)
        has_it = left & (coarse == commonest.astype(np.int16)[:, None])
        sums = np.matvec(planes, has_it.astype(np.float32)).astype(float)
        common = (sums / np.maximum(counts[own, commonest], 1)[:, None])[:, :, None]
        # Whole levels in between: bytes are compared faster than a mean is.
        least = np.maximum(np.ceil(common - SAME_COLOUR), 0).astype(np.uint8)
        most = np.minimum(np.floor(common + SAME_COLOUR), 255).astype(np.uint8)
        is_same = channels - least <= most - least  # below least wraps round
        left &= ~(is_same[:, 0] & is_same[:, 1] & is_same[:, 2])
    return (1.0 - _shares(left)).round(4)


def _share_all_over(lost: np.ndarray) -> np.ndarray:
    """Return the share of each grid, or of the middle half of its sides if that is less."""
    lost = lost.reshape(-1, COLOUR_SIDE, COLOUR_SIDE)
    middle = slice(COLOUR_SIDE // 4, COLOUR_SIDE - COLOUR_SIDE // 4)
    shares = (part.mean(axis=(1, 2)) for part in (lost, lost[:, middle, middle]))
    return np.minimum(*shares).round(4)
