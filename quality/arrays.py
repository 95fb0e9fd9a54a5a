"""Arrays in files: features by content, predictions by run. Whole or absent, never half.

Row i of every array of a run is line i of its version's manifest. How features are written
says `labeling.shards`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from django.conf import settings

from labeling.services.versions import read_manifest
from labeling.shards import features_folder, save_array
from quality.models import Run


def known_contents(backbone: str) -> dict[str, tuple[str, int]]:
    """Return shard and row of every content that has a vector."""
    places: dict[str, tuple[str, int]] = {}
    for listing in sorted(features_folder(backbone).glob("*.json")):
        for row, sha256 in enumerate(json.loads(listing.read_text())):
            places.setdefault(sha256, (listing.stem, row))
    return places


def load_features(backbone: str, hashes: Sequence[str]) -> np.ndarray:
    """Return the vectors of contents, one row each; KeyError names a content without one."""
    places = known_contents(backbone)
    wanted: dict[str, list[tuple[int, int]]] = {}
    for position, sha256 in enumerate(hashes):
        shard, row = places[sha256]
        wanted.setdefault(shard, []).append((position, row))
    vectors: np.ndarray | None = None
    for shard, rows in wanted.items():
        mapped = np.load(features_folder(backbone) / f"{shard}.npy", mmap_mode="r")
        if vectors is None:
            vectors = np.empty((len(hashes), mapped.shape[1]), dtype=np.float32)
        positions, sources = np.array(rows).T
        vectors[positions] = mapped[sources]
    return np.empty((0, 0), dtype=np.float32) if vectors is None else vectors


def run_folder(run: Run) -> Path:
    """Return where the arrays of a run lie."""
    return Path(settings.DATA_DIR) / "runs" / str(run.pk)


def save_run(run: Run, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a run's arrays, each as `<name>.npy`."""
    for name, array in arrays.items():
        save_array(run_folder(run) / f"{name}.npy", array)


def run_array(run: Run, name: str) -> np.ndarray | None:
    """Return an array of a run, memory-mapped, or None when the run has none of that name."""
    path = run_folder(run) / f"{name}.npy"
    return np.load(path, mmap_mode="r") if path.exists() else None


def run_predictions(run: Run) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return item keys, predicted class (index into `run.classes`, -1: none) and probabilities.

    Out of sample for every labelled item that is not a test item; NaN rows elsewhere.
    """
    keys = [line["key"] for line in read_manifest(run.version)]
    probabilities = run_array(run, "probabilities")
    if probabilities is None:
        return keys, np.full(len(keys), -1), np.full((len(keys), len(run.classes)), np.nan)
    return keys, predicted_classes(probabilities), probabilities


def comparison_folder(comparison_id: int) -> Path:
    """Return where the arrays of a comparison lie."""
    return Path(settings.DATA_DIR) / "comparisons" / str(comparison_id)


def save_comparison(comparison_id: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a comparison's arrays; row i is line i of the earlier version."""
    for name, array in arrays.items():
        save_array(comparison_folder(comparison_id) / f"{name}.npy", array)


def comparison_array(comparison_id: int, name: str) -> np.ndarray | None:
    """Return an array of a comparison, memory-mapped, or None."""
    path = comparison_folder(comparison_id) / f"{name}.npy"
    return np.load(path, mmap_mode="r") if path.exists() else None


def class_numbers(names: Iterable[str | None], classes: Sequence[str]) -> np.ndarray:
    """Return the place of each label among classes; -1 where there is none, or another one."""
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places.get(name or "", -1) for name in names], dtype=np.int64)


def predicted_classes(probabilities: np.ndarray) -> np.ndarray:
    """Return the likeliest class of each row, -1 where nothing was predicted."""
    is_known = ~np.isnan(probabilities).any(axis=1)
    predicted = np.full(len(probabilities), -1)
    predicted[is_known] = np.asarray(probabilities)[is_known].argmax(axis=1)
    return predicted
