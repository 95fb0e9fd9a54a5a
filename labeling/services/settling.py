"""What the whole crowd's answers make of the items that rounds are done with.

A round settles an item by majority the moment it has its answers; the crowd's consensus, once
measured, looks at it again, knowing by then whom to believe. What a person decided stands.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models.functions import Coalesce

from labeling.models import (
    Answer,
    Dataset,
    Item,
    LabelClass,
    LabelSource,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
)
from labeling.queries import settling as queries
from labeling.queries.settling import IMPORTED, Place
from labeling.services import labels
from mlcore.consensus import Consensus, Method, Setting, aggregate

MEANT = Coalesce("label__merged_into", "label")  # the class that an answer counts for
LEAST_SURE = 0.6
"""Confidence below which an item is disputed: there the likeliest class is right about as often
as a coin, on nine real crowds (docs/crowd.md)."""

# Below this many answers an item on average, or people, nobody's quality can be estimated.
LEAST_ANSWERS_AN_ITEM = 2.0
LEAST_ANNOTATORS = 3
HALF = 0.5  # more than this share of the answers must name a class
MOVED = 0.002  # confidence that moves by less is not written again
PLACES_A_TRANSACTION = 100
TAKEN = "taken back: "  # so the reasons begin of labels that answers no longer bear out
AGREED_ON = "agreed on by imported answers"
METHODS = {
    "majority": "majority",
    "one_coin": "one accuracy per person",
    "dawid_skene": "Dawid-Skene",
}


@dataclass(frozen=True)
class Verdict:
    """What the answers to a place make of it: a class (by id), or none where it is disputed."""

    place: Place
    label: int | None
    confidence: float
    answers: frozenset[int]


def given_for(asking: Round) -> str:
    """Return how the reasons of labels begin that a round gave; a pilot's wordings share them."""
    if asking.purpose == IMPORTED:
        return AGREED_ON
    if asking.kind == RoundKind.PILOT:
        return f"pilot {asking.beside_id or asking.pk}: {asking.name}"
    return f"round {asking.pk}: {asking.name}"


def reason_for(asking: Round, method: str) -> str:
    """Return the reason of a label that a round gave by this method."""
    return f"{given_for(asking)}; {METHODS.get(method, method)}"


def taken_for(asking: Round, why: str) -> str:
    """Return the reason why a label that a round gave is no longer given.

    It begins otherwise than what a round gives, so that it is never taken back itself.
    """
    return f"{TAKEN}{given_for(asking)}; {why}"


def consensus_of(
    items: np.ndarray, people: np.ndarray, answers: np.ndarray, **options: Any
) -> Consensus:
    """Return the consensus by the method chosen from the answers, or by majority of few."""
    enough = len(np.unique(people)) >= LEAST_ANNOTATORS
    enough = enough and len(items) >= LEAST_ANSWERS_AN_ITEM * len(np.unique(items))
    method: Method = "auto" if enough else "majority"
    return aggregate(items, people, answers, method=method, **options)


def settle(
    dataset: Dataset,
    *,
    classes: np.ndarray,
    known: Mapping[int, int],
    start: Setting | Consensus | None,
    check: Callable[[], None] = lambda: None,
    keep: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Let the consensus give or refuse the labels of all places that have their answers.

    `known` are the gold items and their classes (by id). `check` is called between batches and
    `keep` inside their transactions. Returns what changed, for the page.
    """
    verdicts, method = _verdicts(dataset, classes=classes, known=known, start=start)
    changed = [row for row in verdicts if _is_news(row)]
    asked = Round.objects.filter(dataset=dataset).in_bulk()
    moved = 0
    for begin in range(0, len(changed), PLACES_A_TRANSACTION):
        check()
        with transaction.atomic():
            keep()
            some = changed[begin : begin + PLACES_A_TRANSACTION]
            moved += _write(dataset, some, asked, method)
    _refine(dataset, verdicts, {asking: reason_for(row, method) for asking, row in asked.items()})
    disputed = sum(row.label is None for row in verdicts)
    return {
        "limit": LEAST_SURE,
        "method": method,
        "places": len(verdicts),
        "disputed": disputed,
        "changed": moved,
    }


# ---- what the answers say ----


def _verdicts(
    dataset: Dataset,
    *,
    classes: np.ndarray,
    known: Mapping[int, int],
    start: Setting | Consensus | None,
) -> tuple[list[Verdict], str]:
    columns = ("pk", "round", "item", "annotator", "answer", MEANT)
    rows = queries.counted(dataset).values_list(*columns)
    said: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
    for row in rows.iterator(chunk_size=5_000):
        said.setdefault(row[1:3], []).append(row)
    unit = {where: number for number, where in enumerate(said)}
    row_of = {int(pk): number for number, pk in enumerate(classes)}
    named = [
        (unit[row[1:3]], row[3], row_of[row[5]])
        for rows in said.values()
        for row in rows
        if row[5] is not None
    ]
    if not named:
        return [], "majority"
    item, person, answer = np.array(named, np.int64).T
    gold = np.array([row_of.get(known.get(pk, 0), -1) for _, pk in unit], np.int64)
    people = np.unique(person, return_inverse=True)[1]
    found = consensus_of(
        item, people, answer, n_classes=len(classes), gold=gold, n_items=len(unit), start=start
    )
    verdicts = [
        _verdict(place, said[where], found, unit[where], classes, row_of)
        for place in queries.ended_places(dataset)
        if (where := (place.round, place.item)) in said
    ]
    return [row for row in verdicts if row], found.method


def _verdict(
    place: Place,
    rows: Sequence[tuple[Any, ...]],
    found: Consensus,
    unit: int,
    classes: np.ndarray,
    row_of: Mapping[int, int],
) -> Verdict | None:
    """Return what a place comes to; None where a plain "No" speaks against one class alone."""
    if any(row[4] == Answer.NO for row in rows):
        return None
    answers = frozenset(row[0] for row in rows)
    named = [row[5] for row in rows if row[5] is not None]
    if len(named) <= HALF * len(rows):
        return Verdict(place, None, len(named) / len(rows), answers)
    if len(rows) == 1:  # one person was asked, and is believed
        return Verdict(place, named[0], float(found.posterior[unit, row_of[named[0]]]), answers)
    confidence = float(found.confidence[unit])
    is_sure = found.label[unit] >= 0 and confidence >= LEAST_SURE
    label = int(classes[found.label[unit]]) if is_sure else None
    return Verdict(place, label, confidence, answers)


def _is_news(row: Verdict) -> bool:
    if row.label is None:
        is_labelled = row.place.source == LabelSource.CONSENSUS
        return is_labelled or row.place.state != RoundItemState.DISPUTED
    is_same = row.label == row.place.label and row.place.source == LabelSource.CONSENSUS
    return not is_same or row.place.state != RoundItemState.SETTLED


# ---- writing ----


def _write(
    dataset: Dataset, verdicts: Sequence[Verdict], asked: Mapping[int, Round], method: str
) -> int:
    """Settle or dispute places whose answers are still the same; returns how many.

    What somebody else holds is left to the next time, so that nobody waits for anybody.
    """
    standing = _standing(dataset, verdicts)
    for state, some in (
        (RoundItemState.SETTLED, [row for row in standing if row.label is not None]),
        (RoundItemState.DISPUTED, [row for row in standing if row.label is None]),
    ):
        RoundItem.objects.filter(pk__in=[row.place.pk for row in some]).update(state=state)
    classes = LabelClass.objects.in_bulk([row.label for row in standing if row.label])
    for pk in {row.place.round for row in standing}:
        own, asking = [row for row in standing if row.place.round == pk], asked[pk]
        labels.set_labels(
            labels={row.place.item: classes[row.label] for row in own if row.label},
            source=LabelSource.CONSENSUS,
            confidence={row.place.item: row.confidence for row in own},
            reason=reason_for(asking, method),
        )
        labels.take_back_labels(
            items=[row.place.item for row in own if row.label is None],
            source=LabelSource.CONSENSUS,
            given_for=given_for(asking),
            reason=taken_for(asking, f"less than {LEAST_SURE} sure, {METHODS.get(method, method)}"),
        )
    return len(standing)


def _standing(dataset: Dataset, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Lock what can be locked, and keep the verdicts about what is as it was."""
    skip = {"skip_locked": connection.features.has_select_for_update_skip_locked}
    wanted = {row.place.pk: row for row in verdicts}
    places = RoundItem.objects.select_for_update(of=("self",), **skip).filter(
        pk__in=wanted, state__in=queries.ENDED
    )
    held = {row.pk: row for row in places.order_by("pk")}
    ids = [row.item_id for row in held.values()]
    rows = Item.objects.select_for_update(of=("self",), **skip).filter(pk__in=ids, excluded="")
    items = {row.pk: row for row in rows.exclude(label_source=LabelSource.REVIEW).order_by("pk")}
    answers = queries.answers_of(dataset, items=items)
    return [
        row
        for pk, row in wanted.items()
        if pk in held
        and row.place.item in items
        and answers[row.place.round, row.place.item] == row.answers
    ]


def _refine(dataset: Dataset, verdicts: Iterable[Verdict], reasons: Mapping[int, str]) -> None:
    """Note how sure the consensus is by now of the labels that stand."""
    last = queries.last_changes(dataset)
    changes = {}
    for row in verdicts:
        pk, label, confidence, reason = last.get(row.place.item, (0, None, 0.0, ""))
        why, sure = reasons[row.place.round], round(row.confidence, 3)
        given = why.rpartition("; ")[0]
        if row.label is None or label != row.label or not reason.startswith(given):
            continue
        if abs(confidence - sure) > MOVED or reason != why:
            changes[pk] = (sure, why)
    labels.refine_confidence(changes=changes)


def settle_dispute(*, place: int) -> None:
    """Note that a person decided about a disputed item (by id of its place)."""
    disputed = RoundItem.objects.filter(pk=place, state=RoundItemState.DISPUTED)
    disputed.update(state=RoundItemState.SETTLED)


def dispute_again(*, places: Iterable[int]) -> None:
    """Take such decisions back (by ids of their places)."""
    settled = RoundItem.objects.filter(pk__in=list(places), state=RoundItemState.SETTLED)
    settled.update(state=RoundItemState.DISPUTED)
