"""What one decoded picture measures: light, sharpness, evenness, colours.

`mlcore.pixel_sums` goes through the pixels; web processes import this module, but never that one.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from mlcore.decoding import PREVIEW_SIDE
from mlcore.files import Fact

#: Shares of the pixels below the luma that is called its low and its high end.
LOW_END, HIGH_END = 0.05, 0.95

#: Edges are looked at along at most this many lines of pixels: of a picture of 256 px every third,
#: so that all lines of JPEG's blocks of 8 have their turn.
EDGE_LINES = 96

#: Pixels that the widest edge is said to take: a slope without an end.
WIDEST = 64.0

#: A grid has four times the pixels of its middle.
MIDDLES = 4

#: Variance of luma by rounding: its own to whole levels, and red's, green's and blue's before.
ROUNDED = (1 + 0.299**2 + 0.587**2 + 0.114**2) / 12

_LEVELS = np.arange(256)
#: What a histogram's shares are multiplied with: for the mean and its square.
_LIGHT = np.stack([_LEVELS, _LEVELS**2], axis=1) * 1.0
_NEXT_TO_NOTHING = 1e-12  # keeps log2 from zero; a share of one pixel is 1e-8 at the least


def light_facts(histograms: Sequence[np.ndarray]) -> list[dict[str, Fact]]:
    """Measure the light of pictures by their histograms of luma (0 to 255).

    Returns
    -------
    list of dict
        brightness (mean), contrast (standard deviation), luma_low and luma_high (5 % of the
        pixels are darker or as dark, 95 %) and entropy (bits, 0 to 8).

    Examples
    --------
    >>> light_facts([np.bincount([90, 90], minlength=256)])[0]["luma_high"]
    90
    """
    counts = np.array(histograms, np.float64).reshape(-1, 256)
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


def surface_facts(luma: np.ndarray) -> dict[str, Fact]:
    """Measure edges of a picture of at most 256 px; a fixed size makes pictures comparable.

    Parameters
    ----------
    luma : uint8 ndarray of shape (height, width)

    Returns
    -------
    dict
        sharpness (variance of the Laplacian: Pech-Pacheco et al. 2000,
        doi:10.1109/ICPR.2000.903548; smaller pictures are not enlarged), even_share (of pixels,
        those whose Laplacian is 0) and edge_width (px that an edge is spread over, along the
        axis or diagonal where it is most: `_edge_width`).

    Examples
    --------
    >>> surface_facts(np.full((64, 64), 128, np.uint8))
    {'sharpness': 0.0, 'even_share': 1.0, 'edge_width': 1.0}
    >>> bars = np.tile(np.repeat([0, 200], 8).astype(np.uint8), (16, 1))
    >>> surface_facts(bars)["edge_width"]
    1.0
    """
    from mlcore.pixel_sums import edge_sums

    if max(luma.shape) > PREVIEW_SIDE:
        within = (PREVIEW_SIDE, PREVIEW_SIDE)
        luma = np.array(ImageOps.contain(Image.fromarray(luma), within, Image.Resampling.BOX))
    if min(luma.shape) < 3:
        return {"sharpness": 0.0, "even_share": 1.0, "edge_width": 1.0}
    sums = edge_sums(luma, math.ceil(len(luma) / EDGE_LINES)).tolist()
    risen, bent, (square, total, zeros, n_pixels) = sums[:4], sums[4:8], sums[8:]
    even, mean = zeros / n_pixels, total / n_pixels
    width = _edge_width(risen, bent, noise=ROUNDED * (1.0 - even) * n_pixels)
    return {
        "sharpness": round(max(square / n_pixels - mean * mean, 0.0), 2),
        "even_share": round(even, 4),
        "edge_width": round(width, 3),
    }


def _edge_width(risen: Sequence[int], bent: Sequence[int], *, noise: float) -> float:
    """Return over how many pixels edges are spread along the smoothest of four directions.

    Motion smooths along its own direction alone, a lens out of focus along all. Where an edge
    rises evenly over w pixels, a step to the next pixel and the step after it correlate by
    r = 1 - 1/w: 0 where it is sharp, 1 where it never ends, -1/2 in noise. So how much is to be
    seen in a picture, or how strongly, does not matter, only how finely. The squares of both
    steps' sum and difference are as 1 + r to 1 - r, less what rounding brings into them: of a
    strongly blurred picture it is nearly all that bends.

    Parameters
    ----------
    risen, bent : sequence of 4 int
        The squares of both steps' sum and difference in each direction.
    noise : float
        What rounding brings into each pixel, squared: twice into the sum of both steps, six times
        (1, -2 and 1 squared) into the difference.

    Returns
    -------
    float
        1/2 to WIDEST: 2/3 in noise, 1 where edges are sharp or nothing differs.
    """
    pairs = zip(risen, bent, strict=True)
    return max(_width(rise - 2 * noise, bend - 6 * noise) for rise, bend in pairs)


def _width(rise: float, bend: float) -> float:
    if bend > 0:
        return min((1 + max(rise, 0.0) / bend) / 2, WIDEST)
    return WIDEST if rise > 0 else 1.0


def colour_facts(grids: Sequence[np.ndarray]) -> list[dict[str, Fact]]:
    """Measure pictures by their `pixel_sums.colour_grid`.

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
    >>> colour_facts([np.full((3, 64 * 64), 9, np.uint8)])
    [{'colourfulness': 0.0, 'two_colour_share': 1.0, 'black_share': 1.0, 'white_share': 0.0,
      'weakest_channel': 1.0, 'clipped_share': 0.0}]
    """
    from mlcore.pixel_sums import colour_sums, lost_counts, two_colour_count

    if not grids:
        return []
    n_pixels = grids[0].shape[1]
    sums = np.array([colour_sums(grid) for grid in grids]) / n_pixels
    lost = np.array([lost_counts(grid) for grid in grids]) / n_pixels
    black, middle_black, cut, middle_cut, cut_off, just_below = lost.T
    of_two = np.array([two_colour_count(grid) for grid in grids]) / n_pixels
    columns = {
        "colourfulness": _colourfulness(*sums[:, 3:].T).round(2),
        "two_colour_share": of_two.round(4),
        "black_share": np.minimum(black, MIDDLES * middle_black).round(4),
        "white_share": np.minimum(cut, MIDDLES * middle_cut).round(4),
        "weakest_channel": _weakest(sums[:, :3]).round(4),
        "clipped_share": np.maximum(cut_off - just_below, 0.0).round(4),
    }
    return _rows(columns)


def _colourfulness(
    red: np.ndarray, red_square: np.ndarray, yellow: np.ndarray, yellow_square: np.ndarray
) -> np.ndarray:
    """Return it of means of red against green, of twice yellow against blue, and their squares."""
    variance = red_square - red * red + (yellow_square - yellow * yellow) / 4
    return np.asarray(np.sqrt(variance) + 0.3 * np.hypot(red, yellow / 2))


def _weakest(means: np.ndarray) -> np.ndarray:
    """Return the darkest channel's mean over the lightest's; 1 for pictures that are black."""
    return np.maximum(means.min(axis=1), 1.0) / np.maximum(means.max(axis=1), 1.0)
