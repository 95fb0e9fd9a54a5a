"""What calibrating does to the error of confidence, and to the search for label errors.

    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/calibration.py

CIFAR-10 with the labels of its makers and of CIFAR-10N's people, from the folder that WINNOW_SHARED
names, 5 folds, two seeds. `alone` asks the model, `joined` its neighbours too: `auroc` is the
chance that a wrong label scores above a right one, `precision` the share wrong of what is marked.
"""

from __future__ import annotations

import json

import numpy as np
from sklearn.metrics import average_precision_score

from bench.heads import CLASSES, cifar10
from bench.label_errors import auroc
from mlcore.calibration import reliability
from mlcore.label_errors import find_label_errors
from mlcore.neighbours import NeighbourGraph, nearest
from mlcore.protocols import Protocol
from mlcore.training import cross_validate

SEEDS = 2
Figures = dict[str, float | int]


def main() -> None:
    """Print one JSON line a seed and set of labels, before and after."""
    sets = {name: parts[:2] for name, parts in cifar10().items()}
    vectors, truth = sets["cifar10, truth"]
    graph, alone = nearest(vectors), np.arange(len(truth))
    for seed in range(SEEDS):
        for name, (_, labels) in sets.items():
            protocol = Protocol(seed=seed)
            found = cross_validate(vectors, labels, alone, n_classes=CLASSES, protocol=protocol)
            for when, told in (("before", found.uncalibrated), ("after", found.probabilities)):
                right = told.argmax(axis=1) == labels
                error = reliability(told.max(axis=1), right, alone).error
                limits = [round(value, 4) for value in (error.value, error.low, error.high)]
                figure = {"set": name, "seed": seed, "when": when, "calibration_error": limits}
                for way, neighbours in (("alone", None), ("joined", graph)):
                    figure[way] = searched(labels, told, neighbours, wrong=labels != truth)
                print(json.dumps(figure), flush=True)


def searched(
    labels: np.ndarray, told: np.ndarray, graph: NeighbourGraph | None, *, wrong: np.ndarray
) -> Figures:
    """Return how well label errors are found, of these probabilities."""
    doubts = find_label_errors(labels, told, neighbours=graph)
    marked = int(doubts.is_error.sum())
    if not wrong.any():
        return {"marked": marked}
    ranked = auroc(doubts.score, wrong), average_precision_score(wrong, doubts.score)
    figures = dict(zip(("auroc", "ap", "precision"), (*ranked, wrong[doubts.is_error].mean())))
    return {"marked": marked, **{name: round(float(value), 4) for name, value in figures.items()}}


if __name__ == "__main__":
    main()
