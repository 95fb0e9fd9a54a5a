"""Predictions as rows that a spreadsheet or a script can read."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from labeling.export import Rows
from labeling.services.versions import read_manifest
from quality import arrays
from quality.models import Comparison, Run

FACTS = ("key", "split", "group", "given", "predicted")
DIGITS = 9  # significant: tells any two float32 apart


def predictions_of(run: Run) -> Rows:
    """One row per item of the run's version.

    What was not predicted is empty: unlabelled items, and test items unless they were opened.
    """
    known = [
        found
        for name in ("probabilities", "test_probabilities")
        if (found := arrays.run_array(run, name)) is not None
    ]
    rows = (
        _row(line, _first_known(known, row), classes=run.classes)
        for row, line in enumerate(read_manifest(run.version))
    )
    return Rows((*FACTS, *run.classes), rows)


def compared_predictions(comparison: Comparison, side: str) -> Rows:
    """One row per item on which two runs were compared; `side` is "before" or "after"."""
    classes = comparison.result["classes"]
    return Rows((*FACTS, *classes), _compared_rows(comparison, side, classes))


def _compared_rows(comparison: Comparison, side: str, classes: list[str]) -> Iterator[list[str]]:
    values = arrays.comparison_array(comparison.pk, side)
    given = arrays.comparison_array(comparison.pk, f"{side}_given")
    if values is None or given is None:
        return
    for row, line in enumerate(read_manifest(comparison.old.version)):
        if not np.isnan(values[row][0]):
            name = classes[given[row]] if given[row] >= 0 else None
            yield _row({**line, "label": name}, values[row], classes=classes)


def _first_known(known: list[np.ndarray], row: int) -> np.ndarray | None:
    return next((found[row] for found in known if not np.isnan(found[row][0])), None)


def _row(line: dict[str, Any], values: np.ndarray | None, *, classes: list[str]) -> list[str]:
    facts = [line["key"], line["split"], line["group"], line["label"] or ""]
    if values is None:
        return [*facts, "", *[""] * len(classes)]
    return [*facts, classes[int(np.argmax(values))], *[f"{value:.{DIGITS}g}" for value in values]]
