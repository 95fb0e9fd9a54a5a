"""Predictions as rows that a spreadsheet or a script can read."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from labeling.services.versions import read_manifest
from quality import arrays
from quality.models import Run

HEAD = ["key", "split", "group", "given", "predicted"]
DIGITS = 9  # significant, enough to tell any two float32 apart


def prediction_rows(run: Run) -> Iterator[list[Any]]:
    """Yield a head, then one row per item of the run's version.

    What was not predicted is empty: unlabelled items, and test items unless they were opened.
    """
    yield [*HEAD, *run.classes]
    known = [
        found
        for name in ("probabilities", "test_probabilities")
        if (found := arrays.run_array(run, name)) is not None
    ]
    for row, line in enumerate(read_manifest(run.version)):
        values = next((found[row] for found in known if not np.isnan(found[row][0])), None)
        yield _row(line, values, classes=run.classes)


def compared_rows(
    comparison_id: int, side: str, *, classes: list[str], run: Run
) -> Iterator[list[Any]]:
    """Yield a head, then one row per item on which two runs were compared.

    `side` is "before" or "after"; `run` is the older one, whose manifest names the items.
    """
    yield [*HEAD, *classes]
    values = arrays.comparison_array(comparison_id, side)
    given = arrays.comparison_array(comparison_id, f"{side}_given")
    if values is None or given is None:
        return
    for row, line in enumerate(read_manifest(run.version)):
        if not np.isnan(values[row][0]):
            name = classes[given[row]] if given[row] >= 0 else None
            yield _row({**line, "label": name}, values[row], classes=classes)


def _row(line: dict[str, Any], values: np.ndarray | None, *, classes: list[str]) -> list[Any]:
    facts = [line["key"], line["split"], line["group"], line["label"] or ""]
    if values is None:
        return [*facts, "", *[""] * len(classes)]
    written = [f"{value:.{DIGITS}g}" for value in values]
    return [*facts, classes[int(np.argmax(values))], *written]
