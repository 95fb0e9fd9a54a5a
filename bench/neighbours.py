"""Time and recall of the neighbour graph; one JSON line a figure, each in its own process.

    python bench/neighbours.py ITEMS DIMENSIONS [VECTORS.npy]

Without a file of vectors they are drawn: 200 clusters in 48 directions, as the peers' script
does. Recall is that of 500 items, evenly spaced, against the exact search. One thread; with
ITEMS over the file's rows all of them are taken.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlcore import neighbours  # noqa: E402

JUDGED = 500
NEW = 0.02  # share of items that an earlier graph did not have


def drawn(n_items: int, n_dimensions: int, *, seed: int = 4) -> np.ndarray:
    """Draw vectors like those of a network behind a ReLU, block by block."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((200, 48), dtype=np.float32) * 1.2
    weights = rng.standard_normal((48, n_dimensions), dtype=np.float32) / 7
    vectors = np.empty((n_items, n_dimensions), np.float32)
    for start in range(0, n_items, 5_000):
        part = vectors[start : start + 5_000]
        latent = centres[rng.integers(0, 200, len(part))]
        latent = latent + rng.standard_normal(latent.shape, dtype=np.float32)
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        np.maximum(latent @ weights + np.float32(0.15) * noise, 0, out=part)
    return vectors


def measure(how: str, n_items: int, n_dimensions: int, path: str) -> None:
    vectors = np.load(path)[:n_items] if path else drawn(n_items, n_dimensions)
    old = np.arange(len(vectors))
    if how == "extended":
        old[-int(NEW * len(vectors)) :] = -1
        early = neighbours.nearest(vectors[old >= 0])
    start, before = time.process_time(), _peak_mb()
    if how == "extended":
        graph = neighbours.extended(early, vectors, old_rows=old)
    else:
        graph = neighbours.nearest(vectors, exact_items=0 if how == "few directions" else 10**9)
    seconds, peak = time.process_time() - start, _peak_mb()
    figure = {"how": how, "items": len(vectors), "dimensions": vectors.shape[1]}
    figure |= {"cpu_s": round(seconds, 1), "peak_mb": round(peak), "added_mb": round(peak - before)}
    print(json.dumps(figure | {"recall": round(recall(graph, vectors), 4)}))


def recall(graph: neighbours.NeighbourGraph, vectors: np.ndarray) -> float:
    """Return the share of the true neighbours among those found, equal ones by similarity."""
    rows = np.linspace(0, len(vectors) - 1, JUDGED).astype(int)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    cosines = vectors[rows] @ vectors.T / np.maximum(lengths[rows, None] * lengths, 1e-30)
    cosines[np.arange(len(rows)), rows] = -np.inf
    k = graph.similarities.shape[1]
    least = np.partition(cosines, -k, axis=1)[:, -k]
    return float((graph.similarities[rows] >= least[:, None] - neighbours.ROUNDING).mean())


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        items, dimensions, *file = sys.argv[1:]
        for way in os.environ.get("WAYS", "exact,few directions,extended").split(","):
            called = [sys.executable, __file__, "--one", way, items, dimensions, *(file or [""])]
            subprocess.run(called, check=True)
