"""Measuring a crowd: consensus, accuracies, agreement and confused classes, in one job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling import crowd_findings
from labeling.models import Dataset, NoticeKind
from labeling.queries.crowd import classes_of, said_in
from labeling.queries.disputes import open_disputes
from labeling.queries.gold import known_labels, tried
from labeling.services import jobs, notices
from labeling.services.readings import find_readings
from labeling.services.settling import settle
from mlcore.agreement import Agreement, agreement
from mlcore.class_pairs import ConfusedPair, by_habit, confused_pairs
from mlcore.consensus import Consensus, Setting, aggregate

SEED = 20_111  # of the resampling behind the limits: the same answers give the same figures
STAGES = 5


@dataclass(frozen=True)
class _Said:
    """Answers as `mlcore` takes them: counted from 0, one for each person and item."""

    items: np.ndarray
    people: np.ndarray
    classes: np.ndarray
    item: np.ndarray
    person: np.ndarray
    answer: np.ndarray
    gold: np.ndarray


def measure_crowd(work: jobs.Work) -> dict[str, Any]:
    """Carry out the measuring that a job names; the pages read what it keeps."""
    dataset = work.job.dataset
    assert dataset is not None
    at = timezone.now()
    work.progress(0, STAGES, message="Reading answers", now=True)
    said = _read(dataset)
    if not len(said.item):
        raise jobs.Refused("Nobody has named a class yet: there is nothing to measure.")
    before = crowd_findings.last(dataset.pk)
    agreed = _consensus(said, work, before)
    work.progress(1, message="Settling what has its answers", now=True)
    settled = settle(
        dataset,
        classes=said.classes,
        known=known_labels(dataset),
        start=agreed if agreed.method != "majority" else None,
        check=work.check,
        keep=work.keep,
    )
    found = _find(dataset, said, agreed, work)
    found.facts.update(at=at.isoformat(), settled=settled)
    work.progress(STAGES, STAGES, now=True)
    crowd_findings.keep(dataset.pk, found)
    _tell(dataset, now=at)
    told = {name: found.facts[name] for name in ("answers", "method", "alpha", "meaning")}
    return told | {"settled": settled}


def _tell(dataset: Dataset, *, now: datetime) -> None:
    """Write notices of check items that everybody fails, and once a day of open disputes."""
    for row in tried(dataset):
        if row.is_doubtful:
            notices.tell(
                dataset=dataset,
                kind=NoticeKind.GOLD,
                about=f"gold {row.gold.pk}",
                words=_("%(right)d of %(n)d people agree with the check item %(key)s")
                % {"right": row.right, "n": row.answered, "key": row.gold.item.key},
                path=reverse("labeling:gold", args=[dataset.slug]),
                now=now,
            )
    if n := open_disputes(dataset).count():
        notices.tell(
            dataset=dataset,
            kind=NoticeKind.DISPUTES,
            about=now.date().isoformat(),
            words=ngettext(
                "%(n)d item on which people disagree", "%(n)d items on which people disagree", n
            )
            % {"n": n},
            path=reverse("quality:disputes", args=[dataset.slug]),
            now=now,
        )


def _read(dataset: Dataset) -> _Said:
    rows = np.array(list(said_in(dataset)), np.int64).reshape(-1, 3)
    classes = np.array([c.pk for c in classes_of(dataset)], np.int64)
    items, item = np.unique(rows[:, 0], return_inverse=True)
    people, person = np.unique(rows[:, 1], return_inverse=True)
    first = np.sort(np.unique(item * max(1, len(people)) + person, return_index=True)[1])
    order = np.argsort(classes)
    answer = order[np.searchsorted(classes[order], rows[:, 2])] if len(rows) else rows[:, 2]
    row_of = {int(pk): row for row, pk in enumerate(classes)}
    known = known_labels(dataset)
    gold = np.array([row_of[known[pk]] if pk in known else -1 for pk in items.tolist()], np.int64)
    return _Said(items, people, classes, item[first], person[first], answer[first], gold)


def _consensus(said: _Said, work: jobs.Work, before: crowd_findings.Findings | None) -> Consensus:
    """Return what all answers come to, from the method that was chosen last on."""
    work.progress(0, message="Looking for the consensus", now=True)
    start = None
    if before and before.facts.get("strength") is not None:
        facts = (before.facts[name] for name in ("method", "strength", "why", "answers"))
        start = Setting(*facts)
    return aggregate(
        said.item,
        said.person,
        said.answer,
        n_classes=len(said.classes),
        gold=said.gold,
        start=start,
    )


def _find(
    dataset: Dataset, said: _Said, agreed: Consensus, work: jobs.Work
) -> crowd_findings.Findings:
    triple, n_classes = (said.item, said.person, said.answer), len(said.classes)
    work.progress(2, message="Measuring agreement", now=True)
    shared = agreement(*triple, n_classes=n_classes, rng=np.random.default_rng(SEED))
    work.progress(3, message="Looking for confused classes", now=True)
    pairs = _confused(said, agreed)
    work.progress(4, message="Looking for people who read the question differently", now=True)
    readings, more = find_readings(
        dataset,
        triple,
        items=said.items,
        people=said.people,
        classes=said.classes,
        rng=np.random.default_rng(SEED),
    )
    facts = _facts(said, agreed, shared, pairs=pairs)
    return crowd_findings.Findings(facts | readings, _arrays(said, agreed, shared) | more)


def _confused(said: _Said, agreed: Consensus) -> list[ConfusedPair]:
    """Return the classes that most confuse, without those who answer whatever is shown.

    The consensus is made anew without them: their answers also tie items between two classes.
    """
    if len(said.classes) <= 2:  # every mistake takes one for the other: no word of the guideline
        return []
    triple = (said.item, said.person, said.answer)
    blind = by_habit(*triple, posterior=agreed.posterior)
    if not blind.any():
        return confused_pairs(*triple, posterior=agreed.posterior)
    looks = ~blind[said.person]
    if not looks.any():
        return []
    items, item = np.unique(said.item[looks], return_inverse=True)
    person = np.unique(said.person[looks], return_inverse=True)[1]
    kept = (item, person, said.answer[looks])
    again = aggregate(*kept, n_classes=len(said.classes), gold=said.gold[items])
    return confused_pairs(*kept, posterior=again.posterior)


def _facts(
    said: _Said, agreed: Consensus, shared: Agreement, *, pairs: Sequence[ConfusedPair]
) -> dict[str, Any]:
    return {
        "method": agreed.method,
        "strength": agreed.strength,
        "why": agreed.why,
        "answers": agreed.n_answers,
        "items": len(said.items),
        "compared": shared.n_items,
        "known": int((said.gold >= 0).sum()),
        "alpha": _number(shared.alpha.value),
        "alpha_low": _number(shared.alpha.low),
        "alpha_high": _number(shared.alpha.high),
        "meaning": shared.meaning,
        "pairs": [
            {
                "classes": [int(said.classes[each]) for each in pair.classes],
                "rate": pair.rate,
                "support": pair.support,
                "panels": pair.panels,
            }
            for pair in pairs
        ],
    }


def _arrays(said: _Said, agreed: Consensus, shared: Agreement) -> dict[str, np.ndarray]:
    accuracy = np.stack([agreed.accuracy, agreed.accuracy_low, agreed.accuracy_high], axis=1)
    told = _told(said)
    accuracy[np.bincount(said.person, told[said.item], len(said.people)) == 0] = np.nan
    return {
        "items": said.items,
        "labels": np.where((agreed.label >= 0) & told, said.classes[agreed.label], 0),
        "people": said.people,
        "accuracy": accuracy,
        "people_alpha": _limits(shared.by_annotator),
        "classes": said.classes,
        "classes_alpha": _limits(shared.by_class),
    }


def _told(said: _Said) -> np.ndarray:
    """Tell of each item whether an answer can be compared there: a single one is right by itself.

    Two people answered it, or what is right is known.
    """
    told: np.ndarray = (np.bincount(said.item, minlength=len(said.items)) > 1) | (said.gold >= 0)
    return told


def _limits(intervals: Any) -> np.ndarray:
    return np.array([[each.value, each.low, each.high] for each in intervals]).reshape(-1, 3)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
