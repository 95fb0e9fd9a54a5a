"""Clusters with two labels in five flipped, planted in real sets, a JSON line each.

    WINNOW_SHARED=... python bench/slices.py

A cluster is an item with its 39 nearest. Labels are flipped for training too, or only afterwards,
as when a test set is flawed. Probabilities: five folds of a softmax head on 64 directions.
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
from mlcore.calibration import softmax  # noqa: E402
from mlcore.slices import CLUSTER_ITEMS, find_slices  # noqa: E402

SETS = (
    ("clothing", "index.csv", "csv_label", "images.zip", "image", 400.0),
    ("cifar10", "cifar10n_train_labels.csv", "truth", "images.zip", "image", 32.0),
    ("fsdd", "index.csv", "digit", "audio.zip", "audio", None),
)
MOST_ITEMS = 2_000
PLANTS, FLIPPED, DEALS = 30, 16, 400
FOLDS, DIRECTIONS, STEPS, RATE, MOMENTUM, DECAY = 5, 64, 150, 0.3, 0.9, 1e-3


def predicted(vectors: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return out-of-sample probabilities."""
    centred = vectors - vectors.mean(axis=0)
    points = centred @ np.linalg.svd(centred, full_matrices=False)[2][:DIRECTIONS].T
    points = np.c_[points / points.std(axis=0), np.ones(len(points))]
    fold = np.random.default_rng(0).integers(0, FOLDS, len(points))
    told = np.zeros((len(points), n_classes))
    for out in range(FOLDS):
        known, wanted = points[fold != out], np.eye(n_classes)[labels[fold != out]]
        weights = np.zeros((points.shape[1], n_classes))
        speed = np.zeros_like(weights)
        for _ in range(STEPS):
            slope = known.T @ (softmax(known @ weights) - wanted) / len(known) + DECAY * weights
            speed = MOMENTUM * speed + slope
            weights -= RATE * speed
        told[fold == out] = softmax(points[fold == out] @ weights)
    return told


def study(name: str, index: str, column: str, archive: str, media: str, side: float | None) -> None:
    listed = rows_of(name, index)
    chosen = np.random.default_rng(0).permutation(len(listed))[:MOST_ITEMS]
    rows = [listed[at] for at in chosen.tolist()]
    labels = numbers([row[column] for row in rows])
    n_classes = int(labels.max()) + 1
    vectors = vectors_of(
        media, contents_of(name, archive, [row["file"] for row in rows]), side=side
    )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def find(shown: np.ndarray, told: np.ndarray, seed: int = 1) -> list:
        rng = np.random.default_rng(seed)
        return find_slices(shown, told, vectors=vectors, columns={}, rng=rng)

    clean = predicted(vectors, labels, n_classes)
    start = time.process_time()
    as_it_is = find(labels, clean)
    seconds = time.process_time() - start
    hits, dealt = {"for training": 0, "afterwards": 0}, []
    for seed in range(PLANTS):
        rng = np.random.default_rng(seed)
        near = np.argsort(-(unit @ unit[rng.integers(len(rows))]))[:CLUSTER_ITEMS]
        flipped = rng.choice(near, FLIPPED, replace=False)
        shown = labels.copy()
        shown[flipped] = (labels[flipped] + rng.integers(1, n_classes, FLIPPED)) % n_classes
        for when, told in (
            ("for training", predicted(vectors, shown, n_classes)),
            ("afterwards", clean),
        ):
            first = find(shown, told)[:3]
            hits[when] += any(np.isin(flipped, slice_.rows).mean() > 0.5 for slice_ in first)
    for seed in range(DEALS):
        order = np.random.default_rng(seed).permutation(len(rows))
        dealt.append(bool(find(labels[order], clean[order], seed)))
    say(
        set=name,
        items=len(rows),
        accuracy=round(float((clean.argmax(axis=1) == labels).mean()), 3),
        plants=PLANTS,
        among_three=hits,
        as_it_is=[
            [round(slice_.wrong, 2), round(slice_.elsewhere, 2), round(slice_.p_value, 3)]
            for slice_ in as_it_is
        ],
        dealt_out_by_chance=DEALS,
        of_them_with_a_slice=sum(dealt),
        cpu_s_each=round(seconds, 1),
    )


if __name__ == "__main__":
    for one in SETS:
        study(*one)
