"""Faults that no limit was set with, planted in real sets, ours beside CleanVision's: JSON lines.

    WINNOW_SHARED=... python bench/odd_plants.py [--peers PYTHON] [--sets A,B] [--items 800]

PYTHON is one that has cleanvision. Planted files are saved as JPEG of quality 70 (products: 85).
4 % of the set is planted, one kind at a time; CleanVision judges each file by itself, with limits
of its own, so it is shown all at once.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from odd_images import SHARED, _odd

from mlcore.files import Measured
from mlcore.images import measure_images

PLANTED = 0.04
Change = Callable[[Image.Image, np.random.Generator], Image.Image]
COLOURS = {"black": 0, "white": 0xFFFFFF, "red": 0x1E1EDC, "navy": 0x50140F, "teal": 0x788214}
WORDS = ("sale", "only", "today", "delivery", "settings", "account", "results", "next", "page")
THEIRS = """
import contextlib, io, json, sys, time
from cleanvision import Imagelab
with contextlib.redirect_stdout(io.StringIO()):
    lab = Imagelab(data_path=sys.argv[1])
    start = time.process_time()
    kinds = "dark light blurry low_information odd_aspect_ratio grayscale".split()
    lab.find_issues({kind: {} for kind in kinds}, n_jobs=1, verbose=False)
    cpu = time.process_time() - start
flags = lab.issues[[name for name in lab.issues if name.startswith("is_")]].any(axis=1)
print(json.dumps({"cpu_s": cpu, "flagged": [path for path, hit in flags.items() if hit]}))
"""


def _smooth(picture: Image.Image, kernel: np.ndarray) -> Image.Image:
    half = len(kernel) // 2
    pixels = np.pad(np.asarray(picture, np.float32), ((half, half), (half, half), (0, 0)), "edge")
    out = np.zeros((picture.height, picture.width, 3), np.float32)
    for y, x in zip(*np.nonzero(kernel), strict=True):
        out += kernel[y, x] * pixels[y : y + picture.height, x : x + picture.width]
    return Image.fromarray(np.clip(out / kernel.sum() + 0.5, 0, 255).astype(np.uint8))


def _moved(share: float, degrees: float) -> Change:
    def moved(one: Image.Image, _rng: np.random.Generator) -> Image.Image:
        reach = max(1.0, share * max(one.size) / 2)
        half = math.ceil(reach)
        drawn = Image.new("L", (8 * half + 4, 8 * half + 4))
        x, y = (
            4 * reach * math.cos(math.radians(degrees)),
            4 * reach * math.sin(math.radians(degrees)),
        )
        middle = 4 * half + 2
        ends = (middle - x, middle + y, middle + x, middle - y)
        ImageDraw.Draw(drawn).line(ends, fill=255, width=4)
        return _smooth(one, np.asarray(drawn.reduce(4), np.float32))

    return moved


def _defocused(share: float) -> Change:
    def defocused(one: Image.Image, _rng: np.random.Generator) -> Image.Image:
        reach = max(1.0, share * max(one.size))
        y, x = np.mgrid[
            -math.ceil(reach) : math.ceil(reach) + 1, -math.ceil(reach) : math.ceil(reach) + 1
        ]
        return _smooth(one, (np.hypot(x, y) <= reach).astype(np.float32))

    return defocused


def _gaussian(share: float) -> Change:
    return lambda one, _rng: one.filter(ImageFilter.GaussianBlur(share * max(one.size)))


def _bordered(sides: str, share: float, colour: str) -> Change:
    def bordered(one: Image.Image, _rng: np.random.Generator) -> Image.Image:
        bar = max(1, round(share * min(one.size)))
        left, top, right, bottom = (bar * (side in sides) for side in "ltrb")
        size = (one.width + left + right, one.height + top + bottom)
        if colour == "gradient":
            ramp = Image.linear_gradient("L").rotate(90).resize(size)
            ground = Image.merge(
                "RGB", [ramp.point(lambda v, k=k: k + v // 2) for k in (20, 60, 110)]
            )
        else:
            ground = Image.new("RGB", size, COLOURS[colour])
        ground.paste(one, (left, top))
        return ground

    return bordered


def _lit(factor: float) -> Change:
    return lambda one, _rng: one.point(lambda value: min(255, int(factor * value)))


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(rng.integers(0, 256, 3).tolist())


def _two(rng: np.random.Generator, mask: np.ndarray) -> Image.Image:
    first = np.array(_colour(rng))
    second = (first + rng.integers(80, 176, 3)) % 256
    return Image.fromarray(np.where(mask[..., None], first, second).astype(np.uint8))


def _thresholded(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    grey = np.asarray(one.convert("L").filter(ImageFilter.GaussianBlur(max(one.size) / 128)))
    return _two(rng, grey > np.median(grey))


def _checked(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[: one.height, : one.width]
    return _two(rng, (y * 8 // one.height + x * 8 // one.width) % 2 > 0)


def _halves(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[: one.height, : one.width]
    return _two(
        rng, x / one.width + y / one.height * rng.uniform(-0.5, 0.5) > rng.uniform(0.3, 0.7)
    )


def _large(
    one: Image.Image, ground: int | tuple[int, ...]
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    drawn = Image.new("RGB", (2 * one.width, 2 * one.height), ground)
    return drawn, ImageDraw.Draw(drawn)


def _screenshot(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    ground, ink = (0xFFFFFF, 0x202020) if rng.random() < 0.5 else (0x1E1C1C, 0xEBEBEB)
    drawn, pen = _large(one, ground)
    line = drawn.height / 18
    pen.rectangle((0, 0, drawn.width, 2 * line), fill=_colour(rng))
    for row in range(2, 12):
        words = " ".join(rng.choice(WORDS, int(rng.integers(2, 9))))
        pen.text((line, row * 1.5 * line), words, fill=ink, font=ImageFont.load_default(line))
    return drawn.resize(one.size, Image.Resampling.BOX)


def _logo(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    drawn, pen = _large(one, _colour(rng))
    width, height = one.size
    pen.ellipse((width / 2, height / 2, width * 1.5, height * 1.5), fill=_colour(rng))
    pen.regular_polygon(
        (width, height, min(one.size) / 3), int(rng.integers(3, 7)), fill=_colour(rng)
    )
    return drawn.resize(one.size, Image.Resampling.BOX)


def _banner(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    drawn, pen = _large(one, _colour(rng))
    place = (drawn.width / 12, drawn.height * rng.uniform(0.2, 0.6))
    pen.text(place, "SALE -50%", fill=0xFFFFFF, font=ImageFont.load_default(drawn.width / 7))
    return drawn.resize(one.size, Image.Resampling.BOX)


def _noise(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (one.height, one.width, 3)).astype(np.uint8))


def _white(one: Image.Image, _rng: np.random.Generator) -> Image.Image:
    return Image.new("RGB", one.size, "white")


def _product(one: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a part of a photo, cut out along curves, on white: no fault."""
    mask = Image.new("L", one.size)
    pen = ImageDraw.Draw(mask)
    left, right = rng.uniform(0.03, 0.3, 2) * one.width
    top, bottom = rng.uniform(0.03, 0.3, 2) * one.height
    box = (left, top, one.width - right, one.height - bottom)
    if rng.random() < 0.5:
        pen.ellipse(box, fill=255)
    else:
        pen.rounded_rectangle(box, radius=0.15 * one.width, fill=255)
    return Image.composite(one, Image.new("RGB", one.size, "white"), mask)


ANGLES = (0, 37, 90, 120)
KINDS: dict[str, Change] = {
    **{
        f"moved {100 * k:g} %, {angle} deg": _moved(k, angle)
        for k in (0.02, 0.05, 0.1)
        for angle in ANGLES
    },
    **{f"gaussian {100 * k:g} %": _gaussian(k) for k in (0.006, 0.02)},
    **{f"defocused {100 * k:g} %": _defocused(k) for k in (0.012, 0.03)},
    **{
        f"border {sides} {100 * k:g} % {colour}": _bordered(sides, k, colour)
        for sides in ("b", "tb", "lr", "ltrb")
        for k, colour in ((0.02, "white"), (0.04, "red"), (0.06, "navy"), (0.08, "gradient"),
                          (0.1, "teal"), (0.15, "black"))
    },
    **{f"{k:g} times the light": _lit(k) for k in (1.5, 2, 3)},
    "thresholded": _thresholded, "checks": _checked, "halves": _halves,
    "screenshot": _screenshot, "logo": _logo, "banner": _banner, "noise": _noise, "white": _white,
    "product on white (no fault)": _product,
}  # fmt: skip


def _jpeg(picture: Image.Image, quality: int = 70) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _pictures(name: str, most: int) -> list[bytes]:
    with zipfile.ZipFile(SHARED / "data" / name / "images.zip") as files:
        names = sorted(file for file in files.namelist() if file.endswith((".jpg", ".png")))
        order = np.random.default_rng(21).permutation(len(names))[:most]
        return [files.read(names[at]) for at in order]


def _beside(python: str, files: dict[str, list[bytes]]) -> tuple[Counter[str], float]:
    """Return how many of each kind CleanVision flags, by any of its checks, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        kind_of = {}
        for number, (kind, contents) in enumerate(files.items()):
            for place, content in enumerate(contents):
                path = Path(folder).resolve() / f"{number}_{place}.jpg"
                path.write_bytes(content)
                kind_of[str(path)] = kind
        told = subprocess.run(
            [python, "-c", THEIRS, folder], check=True, capture_output=True, text=True
        )
    found = json.loads(told.stdout.splitlines()[-1])
    return Counter(kind_of[path] for path in found["flagged"]), found["cpu_s"]


def _measured(contents: list[bytes]) -> list[Measured]:
    found = measure_images((content, "a.jpg") for content in contents)
    return [one for one in found if isinstance(one, Measured)]


def plant(name: str, *, most: int, peers: str | None) -> None:
    """Print what is found of each kind, planted alone in the set, and of the set as it is."""
    originals = _pictures(name, most)
    start = time.process_time()
    clean = _measured(originals)
    cpu = time.process_time() - start
    rng = np.random.default_rng(12)
    chosen = [
        Image.open(io.BytesIO(one)).convert("RGB") for one in originals[: round(PLANTED * most)]
    ]
    files = {
        kind: [_jpeg(change(one, rng), 85 if "product" in kind else 70) for one in chosen]
        for kind, change in KINDS.items()
    }
    theirs, their_cpu = _beside(peers, files | {"": originals}) if peers else (Counter(), 0.0)
    marked = Counter(one.code for one in _odd(clean) if one.is_likely)
    print(json.dumps({"set": name, "as it is": len(clean), "marked": dict(marked),
                      "cleanvision": theirs[""], "measured, CPU-ms a picture":
                      round(1000 * cpu / len(clean), 2),
                      "cleanvision CPU-s, all": round(their_cpu, 1),
                      "all": len(clean) + sum(map(len, files.values()))}), flush=True)  # fmt: skip
    for kind, contents in files.items():
        planted = _measured(contents)
        blank = {len(clean) + at for at, one in enumerate(planted)
                 if "blank" in {oddity.code for oddity in one.oddities}}  # fmt: skip
        told = [one for one in _odd(clean + planted) if one.row >= len(clean) and one.is_likely]
        codes = Counter(one.code for one in told)
        print(json.dumps({"set": name, "kind": kind, "planted": len(planted),
                          "marked": len({one.row for one in told} | blank), "as": dict(codes),
                          "cleanvision": theirs[kind]}), flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="clothing,cifar10")
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--peers")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for each in asked.sets.split(","):
        plant(each, most=asked.items, peers=asked.peers)
