"""What a run would mean in practice: a day's cases in plain words, and its worst surprises."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import Item
from labeling.queries.success import Choice, choice_of
from labeling.templatetags.figures import minutes, share
from mlcore.acting import act, best_threshold
from mlcore.intervals import Interval
from mlcore.success import RECALL, Success
from quality.models import Run
from quality.queries.judged import Judged
from quality.queries.regression import pinned_items
from quality.queries.runs import items_by_key

USUAL_VOLUME = 1_000  # cases a day, until somebody says how many
USUAL_THRESHOLD = 0.5
SURPRISES_SHOWN = 12


@dataclass(frozen=True)
class Practice:
    """One class found at a threshold, on a day of so many cases."""

    name: str
    threshold: float
    threshold_note: str
    volume: int
    seconds: float | None
    words: str
    workload: str
    shares_note: str


def practice_of(run: Run, judged: Judged, asked: dict[str, Any]) -> Practice | None:
    """Say what a day would be like; None where the run predicted fewer than two classes."""
    rows = judged.rows
    labels, probabilities = judged.labels[rows], judged.probabilities[rows]
    counts = np.bincount(labels, minlength=len(run.classes))
    if np.count_nonzero(counts) < 2:
        return None
    choice = choice_of(run.dataset)
    shares = _shares(choice, run.classes, counts)
    positive = _positive(run.classes, asked.get("class"), choice, counts=counts)
    threshold, note = _threshold(
        choice, run.classes, positive, asked=asked.get("at"), shares=shares,
        labels=labels, probabilities=probabilities,
    )  # fmt: skip
    told = run.dataset.success
    volume = asked.get("volume") or told.get("volume") or USUAL_VOLUME
    seconds = asked.get("seconds") or told.get("seconds")
    found = act(
        labels, probabilities[:, positive] >= threshold,
        groups=judged.groups[rows], positive=positive, shares=shares,
    )  # fmt: skip
    share_of = found.positive_share
    return Practice(
        name=run.classes[positive],
        threshold=threshold,
        threshold_note=note,
        volume=volume,
        seconds=seconds,
        words=_words(
            run.classes[positive],
            volume,
            caught=_scaled(found.caught, volume * share_of),
            wanted=volume * share_of,
            false=_scaled(found.false, volume * (1 - share_of)),
        ),
        workload=_workload(_scaled(found.called, volume), seconds),
        shares_note=_shares_note(share_of, is_chosen=shares is not None),
    )


def surprises_of(run: Run, judged: Judged) -> list[dict[str, Any]]:
    """Return the wrong predictions that the run was surest of, with the items as they are now."""
    rows = judged.rows
    guesses = judged.probabilities[rows].argmax(axis=1)
    wrong = rows[guesses != judged.labels[rows]]
    said = judged.probabilities[wrong].argmax(axis=1)
    sure = judged.probabilities[wrong, said]
    order = np.lexsort((wrong, -sure))[:SURPRISES_SHOWN]
    keys = [judged.keys[wrong[place]] for place in order]
    items = {item.key: item for item in items_by_key(run.dataset, keys)}
    pinned = set(pinned_items(run.dataset).filter(key__in=keys).values_list("key", flat=True))
    return [
        {
            "item": items[key],
            "is_pinned": key in pinned,
            "given": run.classes[judged.labels[wrong[place]]],
            "predicted": run.classes[said[place]],
            "probability": float(sure[place]),
            "relabelled": _label_now(items[key], run.classes[judged.labels[wrong[place]]]),
        }
        for key, place in zip(keys, order, strict=True)
        if key in items
    ]


def _label_now(item: Item, then: str) -> str:
    now = item.label.name if item.label else ""
    return now if now != then else ""


def _shares(choice: Choice | None, classes: list[str], counts: np.ndarray) -> np.ndarray | None:
    """Return production shares, where they were said and every class of them was predicted."""
    if choice is None or not choice.shares:
        return None
    shares = np.array([choice.shares.get(name, 0.0) for name in classes])
    is_told = np.isclose(shares[counts > 0].sum(), 1.0)
    return shares if is_told else None


def _positive(
    classes: list[str], asked: str | None, choice: Choice | None, *, counts: np.ndarray
) -> int:
    """Return the class to find: the one asked for, the one chosen, else the rarest."""
    for name in (asked, choice.positive if choice else ""):
        if name in classes and counts[classes.index(name)]:
            return classes.index(name)
    return int(np.where(counts > 0, counts, counts.sum() + 1).argmin())


def _threshold(
    choice: Choice | None,
    classes: list[str],
    positive: int,
    *,
    asked: float | None,
    shares: np.ndarray | None,
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> tuple[float, str]:
    if asked is not None:
        return asked, ""
    if choice and choice.metric == RECALL and choice.positive == classes[positive]:
        wanted = Success(RECALL, positive=positive, precision=choice.precision, shares=shares)
        best = best_threshold(wanted, labels, probabilities=probabilities)
        precision = share(choice.precision)
        if best is None:
            return 1.0, _("No threshold keeps a precision of %s.") % precision
        return best, _("The lowest that keeps a precision of %s here.") % precision
    return USUAL_THRESHOLD, ""


def _scaled(found: Interval, by: float) -> Interval:
    return Interval(found.value * by, found.low * by, found.high * by)


def _words(name: str, volume: int, *, caught: Interval, wanted: float, false: Interval) -> str:
    return _(
        "Of %(volume)s cases a day %(caught)s “%(name)s” are caught (95 %%: %(caught_limits)s), "
        "%(missed)s missed (%(missed_limits)s), and %(false)s others go to people with them "
        "(%(false_limits)s)."
    ) % {
        "name": name,
        "volume": f"{volume:,}",
        "caught": _count(caught.value),
        "caught_limits": _limits(caught.low, caught.high),
        "missed": _count(wanted - caught.value),
        "missed_limits": _limits(wanted - caught.high, wanted - caught.low),
        "false": _count(false.value),
        "false_limits": _limits(false.low, false.high),
    }


def _workload(called: Interval, seconds: float | None) -> str:
    if not seconds:
        return _("Say how many seconds a person needs for one, and this tells the hours.")
    return _("People look at %(n)s a day: %(time)s (%(low)s to %(high)s).") % {
        "n": _count(called.value),
        "time": minutes(called.value * seconds),
        "low": minutes(called.low * seconds),
        "high": minutes(called.high * seconds),
    }


def _shares_note(share_of: float, *, is_chosen: bool) -> str:
    if is_chosen:
        return _("Classes as in production: this one has %s of the cases.") % share(share_of)
    return _("Classes as often as here: this one has %s of the cases.") % share(share_of)


def _limits(low: float, high: float) -> str:
    return _("%(low)s to %(high)s") % {"low": _count(low), "high": _count(high)}


def _count(number: float) -> str:
    return f"{max(0, round(number)):,}"
