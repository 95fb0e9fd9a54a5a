"""The regression set: items that people pinned, tested again by every run."""

from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
from django.db.models import QuerySet
from django.urls import reverse

from labeling.models import Dataset, Item
from quality.models import Run
from quality.queries.filters import Filter
from quality.queries.judged import Judged, judged_of
from quality.queries.run_difference import earlier_runs

PINNED = "regression set"
"""The tag of a pinned item."""
MOST_NAMED = 200  # keys in an address


@dataclass(frozen=True)
class Kept:
    """Some pinned items, and where they are."""

    n: int
    url: str


@dataclass(frozen=True)
class Retested:
    """What a run says of the regression set, beside the run before, by the labels of this one.

    `sealed` are test items, which count only where the run's test items were opened; `untested`
    have no label in its version, or no prediction.
    """

    n: int
    right: Kept
    wrong: Kept
    newly_wrong: Kept
    newly_right: Kept
    sealed: int
    untested: int
    other: Run | None
    url: str


def retested(run: Run, judged: Judged) -> Retested | None:
    """Return how a finished run does on the pinned items; None where nothing is pinned."""
    pinned = set(pinned_items(run.dataset).values_list("key", flat=True))
    if not pinned:
        return None
    given, said = _read(judged, pinned)
    tested = given.keys() & said.keys()
    right = {key for key in tested if said[key] == given[key]}
    other = next((one for one in earlier_runs(run) if not one.is_imported), None)
    was = _read(judged_of(other), pinned)[1] if other else {}
    both = tested & was.keys()
    was_right = {key for key in both if was[key] == given[key]}
    sealed = {
        judged.keys[row] for row in np.flatnonzero(judged.is_test) if judged.keys[row] in pinned
    } - said.keys()
    return Retested(
        n=len(tested),
        right=_kept(run.dataset, right),
        wrong=_kept(run.dataset, tested - right),
        newly_wrong=_kept(run.dataset, was_right - right),
        newly_right=_kept(run.dataset, (both & right) - was_right),
        sealed=len(sealed),
        untested=len(pinned - tested - sealed),
        other=other,
        url=f"{_browse(run.dataset)}?{urlencode({'tag': PINNED})}",
    )


def pinned_items(dataset: Dataset) -> QuerySet[Item]:
    """All items of the regression set."""
    return Item.objects.filter(dataset=dataset, tags__name=PINNED)


def _read(judged: Judged, pinned: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels and predicted classes of pinned items by key; opened test items count."""
    values = np.where(judged.is_test[:, None], judged.test_probabilities, judged.probabilities)
    given, said = {}, {}
    for row, key in enumerate(judged.keys):
        if key in pinned:
            if judged.labels[row] >= 0:
                given[key] = judged.classes[judged.labels[row]]
            if not np.isnan(values[row]).any():
                said[key] = judged.classes[values[row].argmax()]
    return given, said


def _kept(dataset: Dataset, keys: set[str]) -> Kept:
    named = Filter(keys=tuple(sorted(keys)[:MOST_NAMED]))
    return Kept(len(keys), f"{_browse(dataset)}?{named.query()}" if keys else "")


def _browse(dataset: Dataset) -> str:
    return reverse("quality:browse", args=[dataset.slug])
