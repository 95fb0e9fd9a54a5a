"""Splits of real sets as they are, shuffled, and sorted by class then cut, a JSON line each;
sources compared as parts; and what three splits of 50,000 drawn vectors cost.

WINNOW_SHARED=... python bench/shifts.py
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.features import contents_of, numbers, rows_of, say, vectors_of  # noqa: E402
from mlcore.shifts import Shift, find_shifts  # noqa: E402

SETS = (
    ("clothing", "csv_label", "sender_id", "images.zip", "image", 400.0),
    ("fsdd", "digit", "speaker", "audio.zip", "audio", None),
)
SHUFFLES = 10
CUT = 0.8


def study(name: str, label: str, source: str, archive: str, media: str, side: float | None) -> None:
    rows = rows_of(name)
    labels = numbers([row[label] for row in rows])
    contents = contents_of(name, archive, [row["file"] for row in rows])
    vectors = vectors_of(media, contents, side=side)

    def find(splits: np.ndarray, groups: list[str], seed: int = 1) -> list[Shift]:
        rng = np.random.default_rng(seed)
        found = find_shifts(labels, splits, groups=groups, vectors=vectors, rng=rng)
        return [shift for shift in found if shift.is_sure and shift.by_group]

    own = np.array([row["split"] for row in rows], dtype="U12")
    alone = [""] * len(rows)
    cut = np.full(len(rows), "train", dtype="U12")
    cut[np.argsort(labels, kind="stable")[round(CUT * len(rows)) :]] = "test"
    shuffled = [
        find(np.random.default_rng(at).permutation(own), alone, at) for at in range(SHUFFLES)
    ]
    tried = {
        "as_it_is": find(own, [row[source] for row in rows]),
        "as_it_is_without_sources": find(own, alone),
        "sorted_and_cut": find(cut, alone),
    }
    parts = np.array([row[source] for row in rows])
    start = time.process_time()
    by_source = find_shifts(
        labels, _frequent(parts), groups=alone, vectors=vectors, rng=np.random.default_rng(1)
    )
    seconds = time.process_time() - start
    told = {how: [(one.cause, round(one.size, 2)) for one in found] for how, found in tried.items()}
    marked = sum(bool(found) for found in shuffled)
    told["by_source"] = [
        (one.cause, one.parts, round(one.size, 2)) for one in by_source if one.is_sure
    ]
    told |= {"pairs_by_source": len(by_source) // 2, "by_source_cpu_s": round(seconds, 1)}
    say(set=name, items=len(rows), shuffled_marked=marked, **told)


def _frequent(values: np.ndarray) -> np.ndarray:
    names, counts = np.unique(values, return_counts=True)
    return np.where(np.isin(values, names[np.argsort(-counts)[:6]]), values, "")


def cost() -> None:
    """Three splits of 50,000 items of 1,280 dimensions, every dimension full."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50_000, 1_280)).astype(np.float32)
    labels = rng.integers(0, 10, len(vectors))
    splits = rng.choice(["train", "validation", "test"], len(vectors), p=[0.7, 0.15, 0.15])
    start = time.process_time()
    found = find_shifts(labels, splits, groups=[""] * len(labels), vectors=vectors, rng=rng)
    seconds = time.process_time() - start
    sure = sum(shift.is_sure for shift in found)
    say(drawn=len(labels), marked=sure, cpu_s=round(seconds, 2))


if __name__ == "__main__":
    cost()
    for one in SETS:
        study(*one)
