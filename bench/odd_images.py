"""Odd pictures planted in real sets, the sets as they are, and the peers' faults, a JSON line each.

    WINNOW_SHARED=... python bench/odd_images.py

Of each set 3,000 pictures at most; faults are planted in 4 % of its number, one kind at a time,
by kinds and strengths of their own (only the first of each two or three is as the peers plant it).
Of light it is told which pictures lost half of their detail: of the neighbouring pixels that
differed by VISIBLE grey levels, half or more no longer do.
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
from mlcore.odd_images import READS, OddPicture, find_odd_images

SHARED = Path(os.environ.get("WINNOW_SHARED", "../shared"))
SETS = ("clothing", "cifar10")
MOST_ITEMS, PLANTED = 3_000, 0.04
VISIBLE, HALF = 4, 0.5  # grey levels; share of the detail
PEERS_IMAGES = 4_000  # 1,000 scenes, 2,400 copies of them, 600 faults


def _blur(radius: float) -> Callable[[Image.Image], Image.Image]:
    return lambda one: one.filter(ImageFilter.GaussianBlur(radius * max(1.0, max(one.size) / 256)))


def _light(change: Callable[[int], float]) -> Callable[[Image.Image], Image.Image]:
    return lambda one: one.point(lambda value: min(255, max(0, int(change(value)))))


def _times(factor: float) -> Callable[[Image.Image], Image.Image]:
    return _light(lambda value: factor * value)


def _gamma(power: float) -> Callable[[Image.Image], Image.Image]:
    return _light(lambda value: 255 * (value / 255) ** power)


def _more(levels: float) -> Callable[[Image.Image], Image.Image]:
    return _light(lambda value: value + levels)


def _washed(contrast: float) -> Callable[[Image.Image], Image.Image]:
    return _light(lambda value: 255 - contrast * (255 - value))


FAULTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"{k:g} of the light": _times(k) for k in (0.08, 0.2, 0.3, 0.4)},
    **{f"gamma {k}": _gamma(k) for k in (2, 3, 4, 6)},
    **{f"{k} levels less": _more(-k) for k in (60, 100, 140)},
    **{f"light, {k} of the contrast": _washed(k) for k in (0.08, 0.2)},
    **{f"{k:g} times the light": _times(k) for k in (1.5, 2, 3, 4, 6)},
    **{f"{k} levels more": _more(k) for k in (60, 100, 140)},
    "blurred by 9 of 256 px": _blur(9),
    "blurred by 4": _blur(4),
    "blurred by 2": _blur(2),
    "without colours": lambda one: one.convert("L").convert("RGB"),
    "900 x 64": lambda one: one.resize((900, 64)),
    "four times as wide as high": lambda one: one.resize((one.width, max(4, one.width // 4))),
    "frame of a tenth": lambda one: ImageOps.expand(one, max(3, min(one.size) // 10), "black"),
    "bars above and below": lambda one: ImageOps.expand(one, (0, max(4, one.height // 6)), "white"),
}


LIGHT = [name for name in FAULTS if any(word in name for word in ("light", "gamma", "levels"))]


def _lost(before: Image.Image, after: Image.Image) -> float:
    """Return the share of what could be seen, steps between neighbouring pixels, that is gone."""
    old, new = (np.diff(np.asarray(one.convert("L"), float), axis=1) for one in (before, after))
    seen = np.abs(old) >= VISIBLE
    return float((np.abs(new[seen]) < VISIBLE).mean()) if seen.any() else 0.0


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def _odd(measured: list[Measured]) -> list[OddPicture]:
    facts: list[dict[str, Fact]] = [one.facts for one in measured]
    columns = {name: np.array([fact[name] for fact in facts], float) for name in READS}
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
        told = {"set": name, "fault": fault, "planted": len(planted), "marked": len(found)}
        told["with_candidates"] = len({one.row for one in hit})
        if fault in LIGHT:
            lost = {
                len(clean) + at
                for at, one in enumerate(pictures)
                if _lost(one, change(one)) >= HALF
            }
            told |= {"lost_half": len(lost), "of_these_marked": len(lost & found)}
        print(json.dumps(told), flush=True)


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
