"""A finished run's predictions with the labels of its version, read once for what needs both."""

from dataclasses import dataclass

import numpy as np

from labeling.models import Split
from labeling.services.versions import read_manifest
from quality import arrays
from quality.models import Run


@dataclass(frozen=True)
class Judged:
    """One entry per line of the version's manifest.

    `labels` are places in `classes`, -1 is none; rows of `probabilities` are NaN where the run
    predicted nothing out of sample, and `test_probabilities` where nobody opened the test items.
    """

    classes: list[str]
    keys: list[str]
    labels: np.ndarray
    groups: np.ndarray
    is_test: np.ndarray
    probabilities: np.ndarray
    test_probabilities: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """Labelled items predicted out of sample."""
        return np.flatnonzero((self.labels >= 0) & ~np.isnan(self.probabilities).any(axis=1))


def judged_of(run: Run) -> Judged:
    """Read a finished run."""
    lines = list(read_manifest(run.version))
    place = {name: number for number, name in enumerate(run.classes)}
    nothing = np.full((len(lines), len(run.classes)), np.nan, dtype=np.float32)
    groups = arrays.run_array(run, "groups")
    known = arrays.run_array(run, "probabilities")
    opened = arrays.run_array(run, "test_probabilities")
    return Judged(
        classes=run.classes,
        keys=[line["key"] for line in lines],
        labels=np.array([place.get(line["label"] or "", -1) for line in lines], dtype=np.int64),
        groups=np.arange(len(lines)) if groups is None else np.asarray(groups),
        is_test=np.array([line["split"] == Split.TEST for line in lines], dtype=bool),
        probabilities=nothing if known is None else np.asarray(known),
        test_probabilities=nothing if opened is None else np.asarray(opened),
    )
