"""Verified label errors of CIFAR-10 and IMDB, ranked from the probabilities that came with them.

    PYTHONPATH=. WINNOW_SHARED=... python bench/given_probabilities.py

No neighbours: ours beside self-confidence, one JSON line a set. Wrong are the labels that most of
five people did not confirm; of what nobody was asked about, none.
"""

import csv
import json
import os
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from bench.label_errors import auroc
from mlcore.label_errors import find_label_errors

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("WINNOW_SHARED", ROOT.parent / "shared")) / "data"
SETS = (
    ("cifar10", "test_pred_probs.npz", "test_label_errors_mturk.csv", "test_index"),
    ("imdb_label_errors", "pred_probs.npz", "label_errors_mturk.csv", "index"),
)


def measured(score: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Return average precision, AUROC and the wrong labels among the first 50."""
    worst = np.argsort(-score, kind="stable")[:50]
    return {
        "ap": round(float(average_precision_score(wrong, score)), 4),
        "auroc": round(auroc(score, wrong), 4),
        "first_50": int(wrong[worst].sum()),
    }


def main() -> None:
    for name, probabilities, verdicts, column in SETS:
        with np.load(DATA / name / probabilities) as told:
            given, found = told["given"], told["pred_probs"].astype(float)
            index = told["test_index"] if "test_index" in told else np.arange(len(given))
        with (DATA / name / verdicts).open(newline="") as file:
            errors = {int(row[column]) for row in csv.DictReader(file)
                      if row["verdict"].startswith("error")}  # fmt: skip
        wrong = np.isin(index, list(errors))
        ours = find_label_errors(given, found)
        confidence = found[np.arange(len(given)), given]
        print(json.dumps({
            "set": name, "items": len(given), "wrong": int(wrong.sum()),
            "marked": int(ours.is_error.sum()), "ours": measured(ours.score, wrong),
            "self_confidence": measured(1 - confidence, wrong),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
