"""Classes that are two and columns that give a class away, planted in real sets, a JSON line each.

    WINNOW_SHARED=... python bench/group_checks.py

Pairs of classes of `clothing` and `cifar10` are put together, one at a time; a column, a quality,
a border, a loudness and a missing value are tied to one class at a time, 90 % of its items. The
same sets as they are say how often a check cries wolf.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
import zipfile
from itertools import combinations
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)
import soundfile  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from mlcore.features import choose_backbones, extract  # noqa: E402
from mlcore.image_hashes import grey_fields  # noqa: E402
from mlcore.images import measure_image  # noqa: E402
from mlcore.shortcuts import find_shortcuts  # noqa: E402
from mlcore.sounds import measure_sound  # noqa: E402
from mlcore.split_classes import find_split_classes  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django  # noqa: E402

django.setup()
from quality.doubts.classes import _border, _first_letters  # noqa: E402

SHARED = Path(os.environ.get("WINNOW_SHARED", "../shared"))
SETS = {
    "clothing": ("index.csv", "file", "csv_label", "images.zip"),
    "cifar10": ("cifar10n_train_labels.csv", "file", "truth", "images.zip"),
    "arabic_speech_commands": ("index.csv", "file", "word", "audio.zip"),
    "fsdd": ("index.csv", "file", "digit", "audio.zip"),
    "speech_commands_sample": ("index.csv", "file", "word", "audio.zip"),
}
MOST_ITEMS = 4_000
PAIRS = 40
LIKELY = 0.65  # quality.doubts.classes.LIKELY_SPLIT
TIED = 0.9
GAIN_DB = 6.0
BORDER = 0.05  # of each side
IMAGE_FACTS = ("width", "height", "jpeg_quality", "frames", "orientation")
SOUND_FACTS = ("seconds", "peak", "dbfs", "loudest_db", "noise_floor_db", "dc_offset",
               "steps_used")  # fmt: skip


def read(name: str) -> tuple[list[bytes], list[str], np.ndarray, list[str]]:
    """Return bytes, file names, labels and class names of a set, MOST_ITEMS at most."""
    table, key, label, archive = SETS[name]
    rows = list(csv.DictReader((SHARED / "data" / name / table).open()))
    chosen = np.random.default_rng(0).permutation(len(rows))[:MOST_ITEMS].tolist()
    with zipfile.ZipFile(SHARED / "data" / name / archive) as files:
        contents = [files.read(rows[at][key]) for at in chosen]
    classes = sorted({row[label] for row in rows})
    labels = np.array([classes.index(rows[at][label]) for at in chosen])
    return contents, [rows[at][key] for at in chosen], labels, classes


def say(**figure: object) -> None:
    print(json.dumps(figure), flush=True)


def double_classes(name: str) -> None:
    """Put pairs of classes together and see where the check ranks them."""
    contents, files, labels, classes = read(name)
    sides = [measure_image(contents[at], files[at]).facts for at in range(20)]
    native = float(np.median([min(fact["width"], fact["height"]) for fact in sides]))  # type: ignore[type-var]
    backbone = choose_backbones(
        "image", weights_folder=SHARED / "weights", keras_cache=None, native_side=native
    )[0]
    vectors = extract(backbone, contents)
    rng = np.random.default_rng(1)

    def find(shown: np.ndarray) -> list[tuple[int, float]]:
        found = find_split_classes(vectors, shown, n_classes=len(classes), rng=rng)
        return [(split.label, split.score) for split in found]

    clean = [score for _, score in find(labels)]
    pairs = list(combinations(range(len(classes)), 2))
    places, false = [], []
    start = time.process_time()
    for one, other in [pairs[at] for at in rng.permutation(len(pairs))[:PAIRS].tolist()]:
        ranked = find(np.where(labels == other, one, labels))
        places.append([label for label, _ in ranked].index(one) + 1)
        false.append(sum(score >= LIKELY for label, score in ranked if label != one))
    say(
        check="double_class",
        set=name,
        backbone=backbone.name,
        items=len(labels),
        pairs=len(places),
        first=sum(place == 1 for place in places),
        among_three=sum(place <= 3 for place in places),
        most_single_classes_called=max(false),
        called_as_they_are=sum(score >= LIKELY for score in clean),
        cpu_s_each=round((time.process_time() - start) / len(places), 2),
    )


def _edges(contents: list[bytes], *, width: float) -> list[float]:
    """Return how unlike the pixels along the edge are, of pictures with a black border or none."""
    squares = []
    for content in contents:
        picture = Image.open(io.BytesIO(content)).convert("L")
        bars = tuple(max(1, round(width * side)) if width else 0 for side in picture.size)
        framed = np.asarray(ImageOps.expand(picture, bars, 0))
        squares.append(np.frombuffer(grey_fields(framed), np.uint8).astype(np.float32))
    return [float(value or 0.0) for value in _border(np.stack(squares))]


def _louder(content: bytes) -> bytes:
    """Return a sound GAIN_DB louder, saved as 16-bit WAV; what passes full scale is cut."""
    wave, rate = soundfile.read(io.BytesIO(content))
    out = io.BytesIO()
    soundfile.write(out, np.clip(wave * 10 ** (GAIN_DB / 20), -1, 1), rate,
                    format="WAV", subtype="PCM_16")  # fmt: skip
    return out.getvalue()


def shortcuts(name: str) -> None:
    """Tie a column to each class in turn; the honest columns stay beside it."""
    contents, files, labels, classes = read(name)
    is_sound = SETS[name][3] == "audio.zip"
    measure = measure_sound if is_sound else measure_image
    facts = [measure(content, file).facts for content, file in zip(contents, files, strict=True)]
    names = SOUND_FACTS if is_sound else IMAGE_FACTS
    honest = {key: [fact.get(key) for fact in facts] for key in names}
    honest["bytes"] = [float(len(content)) for content in contents]
    honest["prefix"] = [_first_letters(file) for file in files]
    framed: list[float] = []
    louder: list[dict[str, Any]] = []
    if is_sound:
        louder = [measure_sound(_louder(content), "a.wav").facts for content in contents]
    else:
        plain, framed = (_edges(contents, width=width) for width in (0.0, BORDER))
        honest["border"] = list(plain)
    rng = np.random.default_rng(2)

    def find(**planted: object) -> list[tuple[str, int]]:
        found = find_shortcuts(
            labels,
            {**honest, **planted},  # type: ignore[dict-item]
            n_classes=len(classes),
            rng=rng,
        )
        return [(shortcut.column, shortcut.label) for shortcut in found]

    start = time.process_time()
    clean = find()
    seconds = time.process_time() - start
    hits: dict[str, list[bool]] = {}
    for label in range(len(classes)):
        is_class = labels == label
        marked = np.where(is_class, rng.random(len(labels)) < TIED, rng.random(len(labels)) > TIED)
        words = ["x" if mark else "y" for mark in marked]
        missing = [None if mark else float(rng.normal()) for mark in marked]
        plants: dict[str, dict[str, object]] = {
            "column": {"told": words},
            "missing": {"told": missing},
            "prefix": {"prefix": ["img" if mark else "dsc" for mark in marked]},
        }
        if is_sound:
            plants["gain"] = {
                key: [loud[key] if own else fact[key]
                      for loud, fact, own in zip(louder, facts, is_class)]
                for key in SOUND_FACTS
            }  # fmt: skip
        else:
            quality = np.where(marked, 75, rng.integers(80, 96, len(labels))).tolist()
            plants["jpeg_quality"] = {"jpeg_quality": quality}
            plants["border"] = {"border": np.where(marked, framed, honest["border"]).tolist()}
        for plant, columns in plants.items():
            found = find(**columns)
            is_found = any(column in columns and of == label for column, of in found)
            hits.setdefault(plant, []).append(is_found)
    say(
        check="shortcut",
        set=name,
        items=len(labels),
        columns=len(honest),
        called_as_they_are=[column for column, _ in clean],
        found={plant: f"{sum(told)} of {len(told)}" for plant, told in hits.items()},
        cpu_s=round(seconds, 2),
    )


if __name__ == "__main__":
    chosen = set(sys.argv[1:])  # names of checks; none: all
    for one in ("clothing", "cifar10"):
        if not chosen or "double_class" in chosen:
            double_classes(one)
    for one in SETS:
        if not chosen or "shortcut" in chosen:
            shortcuts(one)
