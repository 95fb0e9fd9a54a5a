"""Sums over pixels are those that Pillow and plain numpy give."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mlcore.pixel_sums
from mlcore.pixel_sums import (
    COLOUR_SIDE,
    SAME_COLOUR,
    colour_sums,
    edge_sums,
    field_means,
    histogram,
    lost_counts,
    luma_of,
    two_colour_count,
)

sizes = st.tuples(st.integers(1, 50), st.integers(1, 50))
seeds = st.integers(0, 10_000)


def noise(seed: int, *shape: int, least: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(least, 256, shape, np.uint8)


@given(sizes, seeds)
def test_luma_and_its_histogram_are_pillows(size: tuple[int, int], seed: int) -> None:
    picture = Image.fromarray(noise(seed, *size, 3))
    luma = luma_of(np.asarray(picture))
    assert luma.tobytes() == picture.convert("L").tobytes()
    assert histogram(luma).tolist() == picture.convert("L").histogram()


@given(sizes, seeds, st.integers(1, 16))
def test_means_of_fields_are_pillows(fields: tuple[int, int], seed: int, side: int) -> None:
    down, across = fields
    luma = noise(seed, side * down, side * across)
    reduced = Image.fromarray(luma).reduce((across, down))
    assert field_means(luma, side).tobytes() == reduced.tobytes()


@given(st.tuples(st.integers(3, 50), st.integers(3, 50)), seeds, st.integers(1, 4))
def test_edges_are_summed_in_four_directions(size: tuple[int, int], seed: int, step: int) -> None:
    luma = noise(seed, *size)
    wide = luma.astype(int)
    above, line, below = (wide[at : len(wide) - 2 + at : step] for at in range(3))
    middle = line[:, 1:-1]
    ways = (
        (line[:, :-2], line[:, 2:]),
        (above[:, 1:-1], below[:, 1:-1]),
        (above[:, :-2], below[:, 2:]),
        (above[:, 2:], below[:, :-2]),
    )
    bent = [one + other - 2 * middle for one, other in ways]
    laplacian = bent[0] + bent[1]
    assert edge_sums(luma, step).tolist() == [
        *(((other - one) ** 2).sum() for one, other in ways),
        *((bend**2).sum() for bend in bent),
        (laplacian**2).sum(),
        laplacian.sum(),
        (laplacian == 0).sum(),
        laplacian.size,
    ]


@given(seeds)
def test_colours_are_summed_against_each_other(seed: int) -> None:
    grid = noise(seed, 3, COLOUR_SIDE**2)
    red, green, blue = grid.astype(int)
    one, other = red - green, red + green - 2 * blue
    sums = (red, green, blue, one, one**2, other, other**2)
    assert colour_sums(grid).tolist() == [column.sum() for column in sums]


@given(seeds, st.integers(0, 248))
def test_pixels_without_texture_are_counted(seed: int, least: int) -> None:
    grid = noise(seed, 3, COLOUR_SIDE**2, least=least)
    luma = np.array([299, 587, 114]) @ grid.astype(int)
    lightest, range_of = grid.max(axis=0), np.ptp(grid, axis=0)
    uneven = np.zeros(luma.shape, bool)
    for step in (1, COLOUR_SIDE):
        differs = luma[step:] != luma[:-step]
        uneven[step:] |= differs
        uneven[:-step] |= differs
    black, cut = luma <= 16_000, (lightest >= 254) & (luma >= 118_000)
    near = (lightest >= 244) & (luma >= 118_000) & ~cut
    coloured = (range_of >= 14) & uneven
    middles = [lost.reshape(COLOUR_SIDE, -1)[16:48, 16:48] for lost in (black, cut)]
    expected = [black, middles[0], cut, middles[1], cut & coloured, near & coloured]
    assert lost_counts(grid).tolist() == [found.sum() for found in expected]


def test_two_colours_are_those_of_most_pixels_and_of_most_that_are_left() -> None:
    grid = np.empty((3, COLOUR_SIDE**2), np.uint8)
    grid[:] = np.arange(grid.shape[1]) % 100 + 150  # what is left over, of no colour in particular
    grid[:, :2000], grid[:, 2000:3000] = [[200], [30], [30]], [[20], [90], [140]]
    grid[1, :SAME_COLOUR] = 42  # of the first colour still
    grid[1, SAME_COLOUR] = 49
    assert two_colour_count(grid) == 2999
    assert two_colour_count(np.zeros_like(grid)) == grid.shape[1]


@pytest.mark.slow
def test_where_nothing_can_be_written_each_process_compiles(tmp_path: Path) -> None:
    source = Path(mlcore.pixel_sums.__file__)
    copied = tmp_path / "mlcore"
    copied.mkdir()
    shutil.copy(source, copied)
    shutil.copy(source.parent / "files.py", copied)
    (copied / "__pycache__").write_text("no folder can be made here")
    code = "import numpy, mlcore.pixel_sums as p; print(p.histogram(numpy.zeros((2, 2), 'u1'))[0])"
    environment = {**os.environ, "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "4", done.stderr
