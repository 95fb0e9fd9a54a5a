"""Odd pictures planted in real sets, the sets as they are, and the peers' faults, a JSON line each.

    WINNOW_SHARED=... python bench/odd_images.py

Of each set 1,000 pictures at most; faults are planted in 4 % of its number, one kind at a time,
by kinds and strengths of their own (only the first of each two or three is as the peers plant it).
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from copies import _peers

from mlcore.files import Fact, Measured, UnusableFile
from mlcore.images import measure_image
from mlcore.odd_images import OddPicture, find_odd_images

SHARED = Path(os.environ.get("WINNOW_SHARED", "../shared"))
SETS = ("clothing", "cifar10")
MOST_ITEMS, PLANTED = 1_000, 0.04
PEERS_IMAGES = 4_000  # 1,000 scenes, 2,400 copies of them, 600 faults
FACTS = (
    "width", "height", "luma_low", "luma_high", "contrast", "entropy", "sharpness", "even_share",
    "frame_share", "colourfulness",
)  # fmt: skip


def _blur(radius: float) -> Callable[[Image.Image], Image.Image]:
    return lambda one: one.filter(ImageFilter.GaussianBlur(radius * max(1.0, max(one.size) / 256)))


def _light(change: Callable[[int], float]) -> Callable[[Image.Image], Image.Image]:
    return lambda one: one.point(lambda value: min(255, int(change(value))))


FAULTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a twelfth of the light": _light(lambda v: 0.08 * v),
    "a fifth of the light": _light(lambda v: 0.2 * v),
    "gamma 4": _light(lambda v: 255 * (v / 255) ** 4),
    "light, .08 of the contrast": _light(lambda v: 235 + 0.08 * v),
    "light, .2 of the contrast": _light(lambda v: 200 + 0.2 * v),
    "four times the light": _light(lambda v: 4 * v),
    "blurred by 9 of 256 px": _blur(9),
    "blurred by 4": _blur(4),
    "blurred by 2": _blur(2),
    "without colours": lambda one: one.convert("L").convert("RGB"),
    "900 x 64": lambda one: one.resize((900, 64)),
    "four times as wide as high": lambda one: one.resize((one.width, max(4, one.width // 4))),
    "frame of a tenth": lambda one: ImageOps.expand(one, max(3, min(one.size) // 10), "black"),
    "bars above and below": lambda one: ImageOps.expand(one, (0, max(4, one.height // 6)), "white"),
}


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def _odd(measured: list[Measured]) -> list[OddPicture]:
    facts: list[dict[str, Fact]] = [one.facts for one in measured]
    columns = {name: np.array([fact[name] for fact in facts], float) for name in FACTS}
    labels = np.zeros(len(facts), int)
    return find_odd_images(columns, pixels=[one.pixel_hash for one in measured], labels=labels)


def real(name: str) -> None:
    """Plant every fault in a set, one at a time."""
    with zipfile.ZipFile(SHARED / "data" / name / "images.zip") as files:
        names = sorted(file for file in files.namelist() if file.endswith((".jpg", ".png")))
        order = np.random.default_rng(0).permutation(len(names))[:MOST_ITEMS].tolist()
        contents = [files.read(names[at]) for at in order]
    clean = [measure_image(content, "a.jpg") for content in contents]
    odd = _odd(clean)
    marked = {one.row for one in odd if one.is_likely}
    told: dict[str, object] = {"set": name, "items": len(clean), "marked_as_it_is": len(marked)}
    print(json.dumps(told | {"candidates": len({one.row for one in odd} - marked)}), flush=True)
    chosen = contents[: round(PLANTED * len(clean))]
    for fault, change in FAULTS.items():
        pictures = [Image.open(io.BytesIO(content)).convert("RGB") for content in chosen]
        planted = [measure_image(_jpeg(change(picture)), "a.jpg") for picture in pictures]
        hit = [one for one in _odd(clean + planted) if one.row >= len(clean)]
        found = {one.row for one in hit if one.is_likely}
        print(json.dumps({"set": name, "fault": fault, "planted": len(planted),
                          "marked": len(found), "with_candidates": len({one.row for one in hit})}),
              flush=True)  # fmt: skip


def peers() -> None:
    """The peers' faults, found by their own name for them."""
    theirs = _peers()
    with tempfile.TemporaryDirectory() as folder:
        theirs.DATA = Path(folder)
        theirs.gen_images(PEERS_IMAGES)
        held = Path(folder) / f"images_{PEERS_IMAGES}"
        truth = json.loads((held / "truth.json").read_text())["issue"]
        paths = sorted((held / "img").iterdir())
        contents = [path.read_bytes() for path in paths]
    measured = []
    for path, content in zip(paths, contents, strict=True):
        try:
            measured.append(measure_image(content, path.name))
        except UnusableFile as refused:
            raise SystemExit(f"{path.name}: {refused}") from refused
    start = time.process_time()
    odd = _odd(measured)
    cpu = time.process_time() - start
    blank = {row for row, one in enumerate(measured) if "blank" in {o.code for o in one.oddities}}
    for fault in dict.fromkeys(truth.values()):
        rows = {row for row, path in enumerate(paths) if truth.get(path.name) == fault}
        hit = {one.row for one in odd} | blank
        print(json.dumps({"set": "peers", "fault": fault, "planted": len(rows),
                          "found": len(rows & hit)}), flush=True)  # fmt: skip
    clean = {row for row, path in enumerate(paths) if path.name not in truth}
    false = {one.row for one in odd if one.is_likely} & clean
    print(json.dumps({"set": "peers", "clean": len(clean), "marked": len(false),
                      "cpu_s": round(cpu, 3)}), flush=True)  # fmt: skip


if __name__ == "__main__":
    for one in SETS:
        real(one)
    peers()
