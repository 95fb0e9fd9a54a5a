"""Sums over the pixels of one picture, compiled by numba: whole numbers, the same everywhere.

Importing this takes half a CPU-second and 50 MB, so only what measures pictures does, inside its
functions. The first process on a machine compiles all of it, for its processor, and keeps that in
`__pycache__` or, where that is read-only, in the user's cache (`NUMBA_CACHE_DIR`); where nothing
can be written, each process compiles. A file's date tells what is outdated, so what a function
takes from outside of it is an argument or stands in this file.

numba reckons with 64 bits unless each step is cut to 32: half as many at once.
"""

from collections.abc import Callable

import numba
import numpy as np
from numba import int32, int64, types, uint8, uint32
from numba.core.typing import Signature

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

#: Colours are looked at on a grid of this many pixels a side: 4,096 are sample enough.
COLOUR_SIDE = 64

#: Levels of a channel by which a pixel of one colour differs from that colour's mean: JPEG.
SAME_COLOUR = 12
#: Colours are counted by this many bits of each channel.
_COLOUR_BITS = 4

_LUMA = types.Array(uint8, 2, "C", readonly=True)
_PIXELS = types.Array(uint8, 3, "C", readonly=True)


def _compiled(signature: Signature) -> Callable[[Callable], Callable]:
    def compile_(function: Callable) -> Callable:
        try:
            return numba.njit(signature, cache=True, nogil=True)(function)
        except RuntimeError:  # there is no folder to keep it in
            return numba.njit(signature, nogil=True)(function)

    return compile_


@_compiled(uint8[:, ::1](_PIXELS))
def luma_of(pixels: np.ndarray) -> np.ndarray:
    """Return the luma of red, green and blue (ITU-R BT.601), rounded as Pillow does."""
    height, width, _ = pixels.shape
    luma = np.empty((height, width), np.uint8)
    levels, out = pixels.reshape(pixels.size), luma.reshape(luma.size)
    for at in range(out.size):
        red, green, blue = levels[3 * at], levels[3 * at + 1], levels[3 * at + 2]
        told = int32(19595) * int32(red) + int32(38470) * int32(green) + int32(7471) * int32(blue)
        out[at] = int32(told + int32(0x8000)) >> 16
    return luma


@_compiled(uint32[::1](_LUMA))
def histogram(luma: np.ndarray) -> np.ndarray:
    """Count the pixels of each luma, in turns: the next need not wait for the last one's count."""
    counts = np.zeros((4, 256), np.uint32)
    flat = luma.reshape(luma.size)
    whole = flat.size // 4 * 4
    for at in range(0, whole, 4):
        counts[0, flat[at]] += 1
        counts[1, flat[at + 1]] += 1
        counts[2, flat[at + 2]] += 1
        counts[3, flat[at + 3]] += 1
    for at in range(whole, flat.size):
        counts[0, flat[at]] += 1
    return counts[0] + counts[1] + counts[2] + counts[3]


@_compiled(uint8[:, ::1](_LUMA, int64))
def field_means(luma: np.ndarray, side: int) -> np.ndarray:
    """Return the means of side x side fields of whole pixels, rounded as Pillow does."""
    down, across = luma.shape[0] // side, luma.shape[1] // side
    share = np.int64(np.float32(2**24) / np.float32(down * across))
    means = np.empty((side, side), np.uint8)
    sums = np.empty(side * across, np.int32)
    for row in range(side):
        sums[:] = 0
        for y in range(row * down, row * down + down):
            line = luma[y]
            for x in range(sums.size):
                sums[x] += int32(line[x])
        for column in range(side):
            total = sums[column * across : column * across + across].sum()
            means[row, column] = (total + down * across // 2) * share >> 24
    return means


@numba.njit
def _steps(one: int, middle: int, other: int) -> tuple[np.int32, np.int32]:
    """Return by how much light rises over two steps, squared, and how much more over the second."""
    rise = int32(int32(other) - int32(one))
    return int32(rise * rise), int32(int32(other) + int32(one) - 2 * int32(middle))


@_compiled(int64[::1](_LUMA, int64))
def edge_sums(luma: np.ndarray, step: int) -> np.ndarray:
    """Return sums over the inner pixels of every `step`-th line, of a picture of 2,000 at most.

    Returns
    -------
    int64 ndarray of 12
        Squares of the rise over two steps: across, down and along both diagonals; squares of the
        bend between the two, as many; of the Laplacian, across and down, its squares, itself and
        how often it is 0; the pixels that were looked at.
    """
    sums = np.zeros(12, np.int64)
    width = luma.shape[1] - 2
    for y in range(1, luma.shape[0] - 1, step):
        above, line, below = luma[y - 1], luma[y], luma[y + 1]
        risen0 = risen1 = risen2 = risen3 = bent0 = bent1 = bent2 = bent3 = int32(0)
        square = total = even = int32(0)
        for x in range(width):
            middle = line[x + 1]
            rise0, across = _steps(line[x], middle, line[x + 2])
            rise1, down = _steps(above[x + 1], middle, below[x + 1])
            rise2, falling = _steps(above[x], middle, below[x + 2])
            rise3, rising = _steps(above[x + 2], middle, below[x])
            risen0, risen1 = int32(risen0 + rise0), int32(risen1 + rise1)
            risen2, risen3 = int32(risen2 + rise2), int32(risen3 + rise3)
            bent0, bent1 = int32(bent0 + across * across), int32(bent1 + down * down)
            bent2, bent3 = int32(bent2 + falling * falling), int32(bent3 + rising * rising)
            laplacian = int32(across + down)
            square, total = int32(square + laplacian * laplacian), int32(total + laplacian)
            even = int32(even + int32(laplacian == 0))
        of_line = (risen0, risen1, risen2, risen3, bent0, bent1, bent2, bent3, square, total, even)
        for at, value in enumerate(of_line):
            sums[at] += value
        sums[11] += width
    return sums


@_compiled(uint8[:, ::1](_PIXELS))
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
    height, width, channels = pixels.shape
    grid = np.empty((3, COLOUR_SIDE * COLOUR_SIDE), np.uint8)
    at = 0
    for row in range(COLOUR_SIDE):
        line = pixels[(2 * row + 1) * height // (2 * COLOUR_SIDE)]
        for column in range(COLOUR_SIDE):
            pixel = line[(2 * column + 1) * width // (2 * COLOUR_SIDE)]
            for channel in range(3):
                grid[channel, at] = pixel[min(channel, channels - 1)]
            at += 1
    return grid


@_compiled(int64[::1](_LUMA))
def colour_sums(grid: np.ndarray) -> np.ndarray:
    """Return sums over a `colour_grid`: of red, green, blue and of colours against each other.

    Returns
    -------
    int64 ndarray of 7
        Red, green, blue; red less green, and its square; red and green less twice blue, and its.
    """
    red = green = blue = first = first_square = second = second_square = int32(0)
    for at in range(grid.shape[1]):
        r, g, b = int32(grid[0, at]), int32(grid[1, at]), int32(grid[2, at])
        one, other = int32(r - g), int32(r + g - 2 * b)
        red, green, blue = int32(red + r), int32(green + g), int32(blue + b)
        first, first_square = int32(first + one), int32(first_square + one * one)
        second, second_square = int32(second + other), int32(second_square + other * other)
    return np.array([red, green, blue, first, first_square, second, second_square], np.int64)


@numba.njit
def _is_uneven(luma: np.ndarray) -> np.ndarray:
    """Tell of each pixel of a `colour_grid` whether one of the four beside it is of another luma.

    A field of one colour was painted so: there was nothing in it that light could cut off.
    """
    uneven = np.zeros(luma.size, np.bool_)
    for step in (1, COLOUR_SIDE):  # the last of a line beside the first of the next: no matter
        for at in range(luma.size - step):
            uneven[at] |= luma[at] != luma[at + step]
        for at in range(step, luma.size):
            uneven[at] |= luma[at] != luma[at - step]
    return uneven


@_compiled(int64[::1](_LUMA))
def lost_counts(grid: np.ndarray) -> np.ndarray:
    """Count the pixels of a `colour_grid` that have no texture.

    Returns
    -------
    int64 ndarray of 6
        Black ones and those of its middle half, cut-off ones and those of its middle half; of a
        colour and in no even field, cut-off ones and those just below the end.
    """
    n_pixels = grid.shape[1]
    luma = np.empty(n_pixels, np.int32)
    for at in range(n_pixels):
        luma[at] = 299 * int32(grid[0, at]) + 587 * int32(grid[1, at]) + 114 * int32(grid[2, at])
    uneven = _is_uneven(luma)
    is_black, is_cut = np.empty(n_pixels, np.uint8), np.empty(n_pixels, np.uint8)
    cut_off = just_below = int32(0)
    for at in range(n_pixels):
        red, green, blue = grid[0, at], grid[1, at], grid[2, at]
        lightest, darkest = max(red, green, blue), min(red, green, blue)
        is_light = luma[at] >= 1000 * MIDDLE_GREY
        is_coloured = (int32(lightest) - int32(darkest) >= OFF_WHITE) & uneven[at]
        is_black[at] = luma[at] <= 1000 * BLACK_LUMA
        is_cut[at] = (lightest >= WHITE_LEVEL) & is_light
        is_near = (lightest >= WHITE_LEVEL - NEAR_WHITE) & (lightest < WHITE_LEVEL) & is_light
        cut_off = int32(cut_off + int32(is_cut[at] & is_coloured))
        just_below = int32(just_below + int32(is_near & is_coloured))
    middle = slice(COLOUR_SIDE // 4, COLOUR_SIDE - COLOUR_SIDE // 4)
    counts = np.empty(6, np.int64)
    for place, lost in enumerate((is_black, is_cut)):
        counts[2 * place] = lost.sum()
        counts[2 * place + 1] = lost.reshape(COLOUR_SIDE, COLOUR_SIDE)[middle, middle].sum()
    counts[4], counts[5] = cut_off, just_below
    return counts


@_compiled(int64(_LUMA))
def two_colour_count(grid: np.ndarray) -> int:
    """Count the pixels of a `colour_grid` that have one of two colours, give or take SAME_COLOUR.

    The first is the mean of the coarse colour that most pixels have, the second of those left.
    """
    n_pixels, shift = grid.shape[1], 8 - _COLOUR_BITS
    coarse, left = np.empty(n_pixels, np.int32), np.ones(n_pixels, np.bool_)
    for at in range(n_pixels):
        high, low = int32(grid[0, at]) >> shift, int32(grid[2, at]) >> shift
        coarse[at] = (high << _COLOUR_BITS | int32(grid[1, at]) >> shift) << _COLOUR_BITS | low
    for _colour in range(2):
        counts = np.zeros(2 ** (3 * _COLOUR_BITS), np.int32)
        for at in range(n_pixels):
            counts[coarse[at]] += left[at]
        commonest = np.argmax(counts)
        red = green = blue = int32(0)
        for at in range(n_pixels):
            has_it = int32(left[at] & (coarse[at] == commonest))
            red = int32(red + has_it * int32(grid[0, at]))
            green = int32(green + has_it * int32(grid[1, at]))
            blue = int32(blue + has_it * int32(grid[2, at]))
        most = max(counts[commonest], 1)
        for at in range(n_pixels):
            off = max(
                abs(int32(grid[0, at] * most - red)),
                abs(int32(grid[1, at] * most - green)),
                abs(int32(grid[2, at] * most - blue)),
            )
            left[at] &= off > SAME_COLOUR * most
    return n_pixels - left.sum()
