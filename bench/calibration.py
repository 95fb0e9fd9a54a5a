"""What calibrating does to the error of confidence, and to the ranking of label errors.

    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/calibration.py

CIFAR-10 with the labels of its makers and of CIFAR-10N's people, from the folder that WINNOW_SHARED
names, 5 folds. `auroc`: the chance that a wrong label scores above a right one.
"""

from __future__ import annotations

import json

import numpy as np

from bench.heads import CLASSES, cifar10
from bench.label_errors import auroc
from mlcore.calibration import reliability, softmax
from mlcore.label_errors import find_label_errors
from mlcore.protocols import Protocol
from mlcore.training import cross_validate


def main() -> None:
    """Print one JSON line a set of labels, before and after."""
    sets = {name: parts[:2] for name, parts in cifar10().items()}
    truth = sets["cifar10, truth"][1]
    for name, (vectors, labels) in sets.items():
        alone = np.arange(len(labels))
        found = cross_validate(vectors, labels, alone, n_classes=CLASSES, protocol=Protocol())
        before = np.empty_like(found.probabilities)
        for fold, calibration in enumerate(found.calibrations):
            rows = found.folds == fold
            told, doubt = found.probabilities[rows], calibration.doubt
            told = (told - doubt / CLASSES) / (1 - doubt)
            scores = np.log(np.maximum(told, 1e-9)) * calibration.temperature
            before[rows] = softmax(scores)
        for when, told in (("before", before), ("after", found.probabilities)):
            say(name, when, told, labels=labels, wrong=labels != truth)


def say(name: str, when: str, told: np.ndarray, *, labels: np.ndarray, wrong: np.ndarray) -> None:
    """Print the figures of one set of probabilities."""
    right = told.argmax(axis=1) == labels
    error = reliability(told.max(axis=1), right, np.arange(len(labels))).error
    doubts = find_label_errors(labels, told)
    ranked = round(auroc(doubts.score, wrong), 4) if wrong.any() else None
    limits = [round(value, 4) for value in (error.value, error.low, error.high)]
    figure = {"set": name, "when": when, "calibration_error": limits, "auroc": ranked}
    print(json.dumps({**figure, "marked": int(doubts.is_error.sum())}), flush=True)


if __name__ == "__main__":
    main()
