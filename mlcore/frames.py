"""Even bars at the sides of a picture, of any colour, that end in a straight line."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageOps

from mlcore.decoding import PREVIEW_SIDE

#: Levels of a channel by which the pixels of a bar differ from a slope at most (standard
#: deviation of a line), JPEG's and its colours' bleeding; and those of a bar that needs no other at
#: the opposite side: sky and floor, with the noise of a camera, seldom keep so still.
FRAME_DEVIATION, ALONE_DEVIATION = 6.0, 1.5
#: The same of what no camera saw: a decoder fills in the end of a file that broke off. At the top,
#: a sky that is blown out keeps as still.
FILLED_DEVIATION = 0.1
#: Share of the lines that a bar without another at the opposite side takes at most: sky takes more.
ALONE_SHARE = 0.2
#: Levels of a channel from an even line two before, over what JPEG smears, from which a pixel is
#: another thing.
FRAME_STEP = 12
#: Share of the line behind a bar that is another thing, between the first and the last such pixel:
#: a frame ends along a straight line, the plain ground around an object ends here and there.
FRAME_END = 0.8
#: Share of a line from the first to the last pixel of another thing: of a whole side, where the
#: corners are the other bars', and between bars, which the picture fills.
FRAME_SPAN, INNER_SPAN = 0.7, 0.9
#: Share of a bar's own pixels that may be another thing.
FRAME_SPECKS = 0.05
#: Share of a line between a bar and the one before what it frames (JPEG) that may be another thing:
#: the outline of a car before plain ground grows into a straight line. A file that broke off within
#: a row of blocks is filled from there on, which is exactly even.
FRAME_GROWN = 0.25
#: A line is looked at in at most so many points.
POINTS = 64
#: Lines at the inner edge of a bar that may be uneven: a block of JPEG.
RINGING = 8


def rim_of(pixels: np.ndarray) -> list[np.ndarray]:
    """Return the four outermost lines of a picture, each of shape (n_points, n_channels).

    Parameters
    ----------
    pixels : uint8 ndarray of shape (height, width, n_channels)
    """
    return [line.copy() for line in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])]


def frame_shares(pictures: Sequence[Image.Image], rims: Sequence[list[np.ndarray]]) -> list[float]:
    """Return `frame_share` of pictures of any size, L or RGB; few need more than their rim."""
    lines = [line for rim in rims for line in rim]
    is_even = np.zeros(len(lines), bool)
    for shape in {line.shape for line in lines}:
        alike = [at for at, line in enumerate(lines) if line.shape == shape]
        is_even[alike] = _are_even(np.stack([lines[at] for at in alike]))
    of_picture = zip(pictures, is_even.reshape(-1, 4), strict=True)
    return [_frame_of(picture) if sides.any() else 0.0 for picture, sides in of_picture]


def _frame_of(picture: Image.Image) -> float:
    if max(picture.size) > PREVIEW_SIDE:
        picture = ImageOps.contain(picture, (PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.NEAREST)
    return frame_share(np.asarray(picture)) if min(picture.size) >= 3 else 0.0


def _are_even(lines: np.ndarray) -> np.ndarray:
    """Say of which lines `_slope` leaves little noise, by sums: without an array of differences.

    Parameters
    ----------
    lines : uint8 ndarray of shape (n_lines, n_points, n_channels)
    """
    n_points = lines.shape[1]
    values = lines.transpose(0, 2, 1).astype(np.float64, order="C")
    fitted = values @ _even_and_sloping(n_points)
    squares = np.vecdot(values, values) - np.vecdot(fitted, fitted)
    return np.asarray(squares.max(axis=1) <= FRAME_DEVIATION**2 * n_points)


@lru_cache(maxsize=256)
def _even_and_sloping(n_points: int) -> np.ndarray:
    """Return the two orthonormal columns whose sums are all straight lines."""
    along = np.linspace(-1.0, 1.0, n_points)
    columns = np.stack([np.ones(n_points), along - along.mean()], axis=1)  # one point has no slope
    return columns / np.sqrt(np.maximum(np.einsum("pf,pf->f", columns, columns), 1e-6))


def frame_share(pixels: np.ndarray) -> float:
    """Return the share of a picture that an even frame, or bars at its sides, take.

    Parameters
    ----------
    pixels : uint8 ndarray of shape (height, width) or (height, width, n_channels)

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
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    height, width = pixels.shape[:2]
    columns = pixels.transpose(1, 0, 2)
    left, right = _bars(columns, FRAME_SPAN)
    top, bottom = _bars(pixels[:, left : width - right], INNER_SPAN, most_filled=1.0)
    if left or right:
        left, right = _bars(columns[:, top : height - bottom], INNER_SPAN)
    return 1.0 - (width - left - right) * (height - top - bottom) / (width * height)


def _bars(
    lines: np.ndarray, least_span: float, *, most_filled: float = ALONE_SHARE
) -> tuple[int, int]:
    """Return how many lines the bars at both ends have; one alone has to be thin and still.

    The last one may take `most_filled` of the lines where a decoder filled them.
    """
    step = -(-lines.shape[1] // POINTS)
    lines = lines[:, step // 2 :: step].transpose(0, 2, 1).astype(np.float32, order="C")
    (first, noise, colour), (last, other_noise, other) = (
        _bar(side, least_span) for side in (lines, lines[::-1])
    )
    if first + last >= len(lines):  # the slow waves of a plain ground: nothing is framed
        return 0, 0
    if first and last and np.abs(colour - other).max() <= FRAME_STEP:
        return first, last
    most_last = most_filled if other_noise <= FILLED_DEVIATION else ALONE_SHARE
    return (
        first * (noise <= ALONE_DEVIATION and first <= ALONE_SHARE * len(lines)),
        last * (other_noise <= ALONE_DEVIATION and last <= most_last * len(lines)),
    )


def _bar(lines: np.ndarray, least_span: float) -> tuple[int, float, np.ndarray]:
    """Return how many even lines stand before one that is mostly other, their noise and colour.

    Lines are of shape (n_lines, n_channels, n_points).
    """
    fitted, noise = _slope(lines[:1])
    if noise[0] <= FRAME_DEVIATION:  # as few are: the others are not looked at
        fitted, noise = _slope(lines[: len(lines) // 2 + 1])
    colour = fitted[0].mean(axis=1)
    nothing = (0, np.inf, colour)
    is_uneven = noise > FRAME_DEVIATION
    even = int(np.argmax(is_uneven)) if is_uneven.any() else len(noise)
    if not even:
        return nothing
    before = np.maximum(np.minimum(np.arange(even + RINGING + 1), even) - 2, 0)
    tried = lines[: len(before)]
    is_other = (np.abs(tried - fitted[before[: len(tried)]]) > FRAME_STEP).any(axis=1)
    others = is_other.mean(axis=1)
    end = int(np.argmax(others >= FRAME_END * least_span))  # 0 where there is no such line
    if not end or others[: min(even, end)].mean() > FRAME_SPECKS:
        return nothing
    own_noise = float(np.median(noise[:even]))
    if own_noise > FILLED_DEVIATION and (others[even : end - 1] > FRAME_GROWN).any():
        return nothing
    behind = np.flatnonzero(is_other[end])
    span = int(behind[-1] - behind[0]) + 1
    is_straight = span >= least_span * lines.shape[2] and len(behind) >= FRAME_END * span
    return (end, own_noise, colour) if is_straight else nothing


def _slope(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each line as one even slope of colour, and by how many levels it differs."""
    columns = _even_and_sloping(lines.shape[2]).astype(np.float32)
    fitted = lines @ columns @ columns.T
    off = lines - fitted
    return fitted, np.sqrt(np.vecdot(off, off).max(axis=1) / lines.shape[2])
