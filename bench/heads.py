"""CPU-seconds and accuracy of one fold of five: our head beside a converged logistic regression.

    OMP_NUM_THREADS=1 python bench/heads.py [--items 50000] [--features 1280] [--reference]

Vectors are drawn: classes and noise in few directions, as networks have them, and no number below
zero, as after a ReLU. TensorFlow is started before the clock.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from mlcore.protocols import Protocol
from mlcore.training import Head, fit_final

CLASSES = 10
REACH = 0.09  # of class centres, in standard deviations of an item: two thirds can be told
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)


def drawn(n_items: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, n_items)
    spectrum = 1 / np.sqrt(1 + np.arange(n_features) / 8)
    turn = rng.normal(size=(n_features, n_features)).astype(np.float32) / np.sqrt(n_features)
    centres = rng.normal(size=(CLASSES, n_features)) * spectrum * REACH
    hidden = centres[labels] + rng.normal(size=(n_items, n_features)) * spectrum
    return np.maximum(hidden.astype(np.float32) @ turn, 0), labels


def main() -> None:
    """Print one line a head."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=50_000)
    options.add_argument("--features", type=int, default=1280)
    options.add_argument("--reference", action="store_true")
    asked = options.parse_args()
    vectors, labels = drawn(asked.items, asked.features)
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    learned, judged = next(parts.split(vectors, labels))
    ours(vectors[:200], labels[:200], epochs=1)
    started = time.process_time()
    head = ours(vectors[learned], labels[learned])
    spent = time.process_time() - started
    right = head.predict(vectors[judged]).argmax(axis=1) == labels[judged]
    print(f"ours: {right.mean():.4f}, {spent:.2f} CPU-s, {head.epochs} epochs", flush=True)
    if asked.reference:
        reference(vectors, labels, learned, judged)


def ours(vectors: np.ndarray, labels: np.ndarray, *, epochs: int = Protocol.epochs) -> Head:
    """Return our head of these items."""
    alone = np.arange(len(labels))
    return fit_final(vectors, labels, alone, n_classes=CLASSES, protocol=Protocol(epochs=epochs))


def reference(
    vectors: np.ndarray, labels: np.ndarray, learned: np.ndarray, judged: np.ndarray
) -> None:
    """Print what logistic regressions reach that were run to their end."""
    standard = (vectors - vectors[learned].mean(axis=0)) / (vectors[learned].std(axis=0) + 1e-6)
    for c in (1 / (Protocol.l2 * vectors.shape[1]), *PENALTIES):
        started = time.process_time()
        model = LogisticRegression(C=c, max_iter=1000, tol=1e-5)
        model.fit(standard[learned], labels[learned])
        score = model.score(standard[judged], labels[judged])
        print(f"C={c:.3g}: {score:.4f}, {time.process_time() - started:.1f} CPU-s", flush=True)


if __name__ == "__main__":
    main()
