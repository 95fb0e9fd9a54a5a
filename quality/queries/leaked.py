"""What a run's accuracy is without the items whose copy or source it learned from."""

from dataclasses import dataclass

import numpy as np
from django.core.cache import cache

from labeling.models import Split
from labeling.services.versions import columns_of, read_manifest
from labeling.version_columns import NONE, Columns
from mlcore.folds import join_groups
from mlcore.intervals import Interval, accuracy_interval, subset_difference
from quality import arrays
from quality.models import Run

KEPT_SECONDS = 7 * 24 * 3600
ARRAYS = ("probabilities", "test_probabilities", "groups", "copies")


@dataclass(frozen=True)
class WithoutLeaks:
    """Accuracy on one split, on all of its items and on those that share nothing with training.

    `whole` is None where nothing of the split was predicted, `clean` where no item is left.
    `sealed` counts test items that nobody opened, `sealed_leaked` those of them that are leaked.
    """

    split: str
    n: int
    leaked: int
    whole: Interval | None
    clean: Interval | None
    change: Interval | None
    sealed: int
    sealed_leaked: int

    @property
    def left(self) -> int:
        return self.n - self.leaked

    @property
    def is_clear(self) -> bool:
        return self.change is not None and not self.change.low <= 0 <= self.change.high


def without_leaks(run: Run) -> WithoutLeaks | None:
    """Judge a finished run with and without leaked items, and keep what was found.

    A finished run and its version never change; only opening the test items writes another
    array, and the moment of that is in the name under which the answer is kept.
    """
    key = f"leaks-{run.version.digest}-{run.pk}-{_written(run)}"
    found: tuple[WithoutLeaks | None] | None = cache.get(key)
    if found is None:
        found = (_judged(run),)
        cache.set(key, found, KEPT_SECONDS)
    return found[0]


def _written(run: Run) -> str:
    """Return when each array that a judgment reads was written last, in ns."""
    paths = [arrays.run_folder(run) / f"{name}.npy" for name in ARRAYS]
    return "-".join(str(path.stat().st_mtime_ns if path.exists() else 0) for path in paths)


def _judged(run: Run) -> WithoutLeaks | None:
    """Judge a finished run with and without leaked items; on test only once it was opened.

    Leaked is what shares a copy set that the run found, or a source, with an item of a split that
    is learned from. None where the version has neither split.
    """
    columns = columns_of(run.version)
    groups = _groups(run)
    sharing = _sharing(run, columns, groups)
    is_labelled = columns.labels != NONE
    is_test = columns.is_in(Split.TEST) & is_labelled
    is_validation = columns.is_in(Split.VALIDATION)
    leaked_test = is_test & _is_shared(sharing, columns.is_in(Split.TRAIN, Split.VALIDATION))
    opened = arrays.run_array(run, "test_probabilities")
    split, known = (
        (Split.TEST, opened)
        if opened is not None
        else (Split.VALIDATION, arrays.run_array(run, "probabilities"))
    )
    if known is None or not (is_test.any() or is_validation.any()):
        return None
    guesses = arrays.predicted_classes(known)
    correct = (guesses >= 0) & (guesses == columns.labels_in(run.classes))
    judged, is_leaked = is_test, leaked_test
    if split == Split.VALIDATION:
        judged = is_validation & is_labelled & (guesses >= 0)
        is_leaked = _is_shared(sharing, columns.is_in(Split.TRAIN))
    sealed = is_test if opened is None else np.zeros_like(is_test)
    return WithoutLeaks(
        split=str(split),
        n=int(judged.sum()),
        leaked=int((judged & is_leaked).sum()),
        **_scores(correct[judged], ~is_leaked[judged], groups[judged]),
        sealed=int(sealed.sum()),
        sealed_leaked=int((sealed & leaked_test).sum()),
    )


def _groups(run: Run) -> np.ndarray:
    """Return the copy sets and sources that a run kept together; equal bytes where it kept none."""
    kept = arrays.run_array(run, "groups")
    if kept is not None:
        return np.asarray(kept)
    lines = list(read_manifest(run.version))
    return join_groups(
        [line["group"] or None for line in lines], [line["sha256"] for line in lines]
    )


def _sharing(run: Run, columns: Columns, groups: np.ndarray) -> list[np.ndarray]:
    """Return the copy set and the source of each line, by numbers; below 0 it shares none.

    A source that is not learned from leaks none of its other items because one is a copy; a run
    of before copy sets were kept cannot tell these apart.
    """
    copies = arrays.run_array(run, "copies")
    if copies is None:
        return [groups]
    return [np.asarray(copies), columns.sources]


def _is_shared(sharing: list[np.ndarray], learned: np.ndarray) -> np.ndarray:
    told = [np.isin(numbers, numbers[learned & (numbers >= 0)]) for numbers in sharing]
    return np.any(told, axis=0)


def _scores(
    correct: np.ndarray, is_clean: np.ndarray, groups: np.ndarray
) -> dict[str, Interval | None]:
    whole = accuracy_interval(correct, groups) if len(correct) else None
    if not is_clean.any():
        return {"whole": whole, "clean": None, "change": None}
    clean = accuracy_interval(correct[is_clean], groups[is_clean])
    change = subset_difference(correct, is_clean, groups)
    return {"whole": whole, "clean": clean, "change": change}
