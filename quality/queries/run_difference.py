"""How one run differs from an earlier one, on the items that both predicted."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from labeling.queries.success import choice_of
from labeling.services.versions import read_manifest
from mlcore.intervals import Interval, difference_interval
from quality import arrays
from quality.models import Run
from quality.queries.comparisons import difference_rows
from quality.queries.judge import Judge, spread
from quality.queries.merging import became
from quality.queries.runs import items_url
from quality.queries.success import Change, change_from

EARLIER_SHOWN = 20


@dataclass(frozen=True)
class RunDifference:
    """A run beside an earlier one, each judged by the labels of its own version.

    `chosen`, by the metric of the task card, takes the later labels for both; None: not chosen.
    """

    other: Run
    n: int
    relabelled: int
    before: float
    after: float
    change: Interval
    matrix: dict[str, Any]
    chosen: Change | None = None
    missing: str = ""

    @property
    def is_clear(self) -> bool:
        return not self.change.low <= 0 <= self.change.high


@dataclass(frozen=True)
class Prediction:
    """What a run said about one item, beside its label then and its group."""

    given: str
    predicted: str
    group: int
    probabilities: np.ndarray

    @property
    def is_right(self) -> bool:
        return self.given == self.predicted


def earlier_runs(run: Run) -> list[Run]:
    """Return the finished runs before this one, newest first."""
    done = Run.objects.filter(dataset=run.dataset, number__lt=run.number, finished_at__isnull=False)
    return list(done.select_related("version").order_by("-number")[:EARLIER_SHOWN])


def difference_to(run: Run, other: Run) -> RunDifference | None:
    """Compare two finished runs; None when no item was predicted by both."""
    now, then = _predictions(run), _predictions(other)
    shared = [key for key in now if key in then]
    if not shared:
        return None
    before = np.array([then[key].is_right for key in shared], dtype=float)
    after = np.array([now[key].is_right for key in shared], dtype=float)
    groups = np.array([now[key].group for key in shared])
    chosen = _by_choice(run, other, now=[now[k] for k in shared], then=[then[k] for k in shared])
    return RunDifference(
        other=other,
        n=len(shared),
        relabelled=sum(now[key].given != then[key].given for key in shared),
        before=float(before.mean()),
        after=float(after.mean()),
        change=difference_interval(after - before, groups),
        matrix=_matrix(run, other, now=[now[k] for k in shared], then=[then[k] for k in shared]),
        chosen=change_from(chosen, choice_of(run.dataset)),
        missing=chosen.get("reason", ""),
    )


def _by_choice(
    run: Run, other: Run, *, now: list[Prediction], then: list[Prediction]
) -> dict[str, Any]:
    """Measure both by what success means, on the same items and by the labels of now."""
    choice = choice_of(run.dataset)
    if choice is None:
        return {}
    ends = became(run.dataset, known=run.classes)
    own = [ends.get(name, name) for name in other.classes]
    classes = list(dict.fromkeys([*run.classes, *own]))
    place = {name: number for number, name in enumerate(classes)}
    judge = Judge(
        choice,
        classes,
        np.array([place.get(one.given, -1) for one in now]),
        np.array([one.group for one in now]),
    )
    before = spread(np.array([one.probabilities for one in then]), own, classes)
    after = spread(np.array([one.probabilities for one in now]), run.classes, classes)
    return judge.changed(before, after)


def _predictions(run: Run) -> dict[str, Prediction]:
    _keys, guesses, probabilities = arrays.run_predictions(run)
    groups = arrays.run_array(run, "groups")
    return {
        line["key"]: Prediction(
            line["label"] or "",
            run.classes[guess],
            row if groups is None else int(groups[row]),
            probabilities[row],
        )
        for row, (line, guess) in enumerate(zip(read_manifest(run.version), guesses, strict=True))
        if guess >= 0
    }


def _matrix(
    run: Run, other: Run, *, now: list[Prediction], then: list[Prediction]
) -> dict[str, Any]:
    """Return the difference cell by cell; a cell leads to what this run counts in it."""
    order = run.metrics.get("order") or range(len(run.classes))
    classes = [run.classes[place] for place in order]
    classes += [name for name in other.classes if name not in classes]
    before, after = _counts(then, classes), _counts(now, classes)
    found = difference_rows(classes, before, after, order=list(range(len(classes))))
    for given, row in enumerate(found["rows"]):
        for predicted, cell in enumerate(row["cells"]):
            cell |= {"before": before[given][predicted], "after": after[given][predicted]}
            cell |= {"given": classes[given], "predicted": classes[predicted]}
            if cell["after"]:
                cell["url"] = items_url(run, given=cell["given"], predicted=cell["predicted"])
    return found


def _counts(seen: list[Prediction], classes: list[str]) -> list[list[int]]:
    found = Counter((one.given, one.predicted) for one in seen)
    return [[found[given, predicted] for predicted in classes] for given in classes]
