"""Answers: recorded once, counted up to what was wanted, withdrawn, settled by consensus."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Claim,
    Dataset,
    Guideline,
    LabelClass,
    LabelSource,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    User,
)
from labeling.queries import annotators, guards, places
from labeling.queries.by_hand import written
from labeling.queries.qualifications import bar_of
from labeling.services import labels, qualifications, stopping
from labeling.services.rounds import LEASE, lock_annotator, take_place
from labeling.services.settling import given_for, reason_for, taken_for

STRICT_MAJORITY = 0.5  # share of the answers that a class must exceed to become the label
DECIDED = (RoundItemState.SETTLED, RoundItemState.DISPUTED)
LONGEST_SECONDS = 3600.0  # longer than this nobody looked at the item all the time
END_CLAIM = (
    "DELETE FROM labeling_claim WHERE round_item_id = %(place)s AND annotator_id = %(annotator)s"
)


class NotInRoundError(Exception):
    """The item does not belong to the round."""


class OwnAnswerError(Exception):
    """Nobody verifies what they said themselves; the item waits for somebody else."""


class ClientIdUsedError(Exception):
    """Another answer has this client_id; the client must make a new one for each answer."""


REFUSALS = (NotInRoundError, OwnAnswerError, ClientIdUsedError)


@dataclass(frozen=True)
class Recorded:
    """What became of an answer: counted, surplus, repeated (kept, not counted) or skipped."""

    annotation: Annotation
    outcome: str


def annotator_for(*, dataset: Dataset, user: User) -> Annotator:
    """Return the annotator that this member is in the dataset, made when new."""
    known = annotators.annotator_of(dataset, user)
    return known or Annotator.objects.get_or_create(dataset=dataset, user=user)[0]


def record_annotation(
    *,
    round: Round,
    item: int,
    annotator: Annotator,
    client_id: uuid.UUID,
    answer: str,
    label: LabelClass | None = None,
    asked: LabelClass | None = None,
    is_parked: bool = False,
    suggestion: LabelClass | None = None,
    suggestion_shown: str = "",
    reason: str = "",
    guideline: int | None = None,
    seconds: float | None = None,
    now: datetime,
) -> Recorded:
    """Keep one answer about an item (by id) and count it if its place is free.

    The same client_id is one answer, however often it comes. `guideline` is the version
    (by id) that was on the screen; without one, that of the round.
    """
    annotation = Annotation(
        client_id=client_id,
        round=round,
        item_id=item,
        annotator=annotator,
        answer=answer,
        label=label,
        asked=asked,
        is_parked=is_parked,
        suggestion=suggestion,
        suggestion_shown=suggestion_shown,
        reason=reason[:200],
        guideline_id=_guideline_shown(round, guideline),
        seconds=None if seconds is None else max(0.0, min(seconds, LONGEST_SECONDS)),
    )
    try:
        return _record(annotation, now)
    except IntegrityError as error:  # the id of an answer about another item
        raise ClientIdUsedError(client_id) from error


def _guideline_shown(round: Round, guideline: int | None) -> int | None:
    """Return the version (by id) that the client says was shown, if the dataset has it."""
    if guideline in (None, round.guideline_id):
        return round.guideline_id
    known = Guideline.objects.filter(pk=guideline, dataset=round.dataset_id).exists()
    return guideline if known else round.guideline_id


@transaction.atomic
def _record(annotation: Annotation, now: datetime) -> Recorded:
    if annotation.round.kind == RoundKind.QUALIFY:  # its last answer ends the person's attempt
        lock_annotator(annotation.annotator)
    # The lock lets answers to one item arrive one after the other, so that the last sees all.
    row = _place_of(annotation)
    row.round = annotation.round
    annotation.is_gold = row.state == RoundItemState.GOLD
    _refuse_own(annotation)
    given = places.given_by(annotation.annotator, annotation.round, annotation.item_id)
    for earlier in given:
        if earlier.client_id == annotation.client_id:
            return Recorded(earlier, _outcome(earlier))
    if any(earlier.withdrawn_at is None for earlier in given):
        annotation.withdrawn_at = now  # a person's second answer is kept; the first one counts
    had_place = _use_claim(row, annotation)
    if annotation.withdrawn_at is None and annotation.answer != Answer.SKIP:
        annotation.is_surplus = not (had_place or _take_place(row, annotation.annotator))
    annotation.save(force_insert=True)
    if _outcome(annotation) == "counted" and row.taken + (not had_place) >= row.wanted:
        _settle(row, last=annotation)
    if row.round.kind == RoundKind.QUALIFY:
        qualifications.judge(asking=row.round, annotator=annotation.annotator, now=now)
    return Recorded(annotation, _outcome(annotation))


def _take_place(row: RoundItem, annotator: Annotator) -> bool:
    """Count an answer that has no reservation; from who may not answer it is kept, not counted."""
    is_barred = guards.stop_of(annotator) or bar_of(row.round, annotator)
    return not is_barred and take_place(row.pk)


def _place_of(annotation: Annotation) -> RoundItem:
    """Return the place that an answer is about, locked; of two, the one that is held or gold."""
    found = places.locked_places(annotation.round, annotation.item_id)
    if not found:
        raise NotInRoundError(annotation.item_id)
    if len(found) == 1:
        return found[0]
    held = Claim.objects.filter(round_item__in=found, annotator=annotation.annotator)
    place = held.values_list("round_item", flat=True).first()
    wanted = [row for row in found if row.pk == place] if place else []
    return (wanted or [row for row in found if row.state == RoundItemState.GOLD])[0]


def _refuse_own(annotation: Annotation) -> None:
    if annotation.round.kind != RoundKind.VERIFY or annotation.answer == Answer.SKIP:
        return
    if places.said_before(annotation.annotator, annotation.item_id):
        raise OwnAnswerError(annotation.item_id)


def _use_claim(row: RoundItem, annotation: Annotation) -> bool:
    """End the claim; its place goes to the answer, or back when the answer needs none."""
    if not written(END_CLAIM, {"place": row.pk, "annotator": annotation.annotator_id}):
        return False
    if annotation.answer == Answer.SKIP or annotation.withdrawn_at is not None:
        RoundItem.objects.filter(pk=row.pk).update(taken=F("taken") - 1)
    return True


def _outcome(annotation: Annotation) -> str:
    if annotation.withdrawn_at is not None:
        return "repeated"
    if annotation.answer == Answer.SKIP:
        return "skipped"
    return "surplus" if annotation.is_surplus else "counted"


@transaction.atomic
def withdraw_annotation(
    *, round: Round, annotator: Annotator, client_id: uuid.UUID, now: datetime
) -> bool:
    """Take an answer back and hold its item again; returns whether the item is held.

    A settled item opens again, and the label that the answers gave it is taken back. For who is
    paused nothing is held: their place goes to somebody else.
    """
    lock_annotator(annotator)
    mine = Annotation.objects.filter(client_id=client_id, round=round, annotator=annotator)
    annotation = mine.filter(withdrawn_at__isnull=True).first()
    if annotation is None or (round.kind == RoundKind.QUALIFY and annotation.answer != Answer.SKIP):
        return False  # in a qualification the right answer was told by now
    rows = RoundItem.objects.select_for_update(of=("self",)).filter(
        round=round, item_id=annotation.item_id
    )
    gold = rows.filter(state=RoundItemState.GOLD)
    row = (gold if annotation.is_gold else rows.exclude(state=RoundItemState.GOLD)).get()
    if not mine.filter(withdrawn_at__isnull=True).update(withdrawn_at=now):
        return False
    had_place = annotation.answer != Answer.SKIP and not annotation.is_surplus
    if had_place and (round.is_learning or row.state in DECIDED):
        _reopen(row, by=annotator.user)
    if guards.stop_of(annotator):
        if had_place:
            RoundItem.objects.filter(pk=row.pk).update(taken=F("taken") - 1)
        return False
    if not had_place and not take_place(row.pk):
        return False
    Claim.objects.create(round_item=row, annotator=annotator, expires_at=now + LEASE)
    return True


def _reopen(row: RoundItem, *, by: User | None) -> None:
    RoundItem.objects.filter(pk=row.pk).update(state=RoundItemState.OPEN)
    if row.state != RoundItemState.DISPUTED:
        _take_label_back(row, by=by, reason="an answer was withdrawn")


def _take_label_back(row: RoundItem, *, by: User | None, reason: str) -> None:
    labels.take_back_labels(
        items=[row.item_id],
        source=LabelSource.CONSENSUS,
        given_for=given_for(row.round),
        by=by,
        reason=taken_for(row.round, reason),
    )


def return_skipped(*, round: Round, annotator: Annotator, now: datetime) -> int:
    """Offer an annotator again what they skipped in a round; returns how many."""
    return _skipped(round, annotator).update(withdrawn_at=now)


def return_parked(*, round: Round, annotator: Annotator, now: datetime) -> int:
    """Offer an annotator again what they parked for later; returns how many."""
    return _skipped(round, annotator).filter(is_parked=True).update(withdrawn_at=now)


def _skipped(round: Round, annotator: Annotator) -> QuerySet[Annotation]:
    return Annotation.objects.filter(
        round=round, annotator=annotator, answer=Answer.SKIP, withdrawn_at__isnull=True
    )


def _settle(row: RoundItem, *, last: Annotation) -> None:
    """Give the item its label, or mark it disputed, once it has the answers it needs.

    Until the crowd's consensus looks at it again, knowing more (`settling`).
    """
    answers = [last] if row.wanted == 1 else _counted(row)
    if len(answers) < row.wanted or row.state != RoundItemState.OPEN:
        return
    agreed, confidence, is_enough = _agreed(row.round, answers)
    if not is_enough:  # one place more, and nobody is asked in vain
        RoundItem.objects.filter(pk=row.pk).update(wanted=F("wanted") + 1)
        return
    state = RoundItemState.SETTLED if agreed else RoundItemState.DISPUTED
    RoundItem.objects.filter(pk=row.pk).update(state=state)
    if agreed and row.round.counts:
        _give_label(row, agreed, confidence)
    elif row.round.is_learning:  # the first answer gave one, and the others do not bear it out
        _take_label_back(row, by=None, reason="further answers disagree")


def settle_if_whole(place: RoundItem) -> None:
    """Settle an item whose answers are enough since its round wants fewer."""
    answers = _counted(place)
    if answers:
        _settle(place, last=answers[-1])


def _agreed(asking: Round, answers: Sequence[Annotation]) -> tuple[LabelClass | None, float, bool]:
    """Return class, confidence and whether nobody else need be asked."""
    if asking.confident:
        label, confidence, is_enough = stopping.sure_label(asking, answers)
        if label or not is_enough:
            return label, confidence, is_enough
    label, share = agree(answers)
    may_ask = asking.is_learning and len(answers) < asking.answers_wanted
    return label, share, bool(label) or not may_ask


def _counted(row: RoundItem) -> list[Annotation]:
    rows = Annotation.objects.filter(
        round_id=row.round_id,
        item_id=row.item_id,
        withdrawn_at__isnull=True,
        is_surplus=False,
        is_gold=False,
    )
    named = rows.exclude(answer=Answer.SKIP).select_related("label__merged_into").order_by()
    # Sorted here: SQLite would walk all answers of the round to have them in the order of ids.
    return sorted(named, key=lambda given: given.pk)


def _give_label(row: RoundItem, label: LabelClass, confidence: float) -> None:
    labels.set_labels(
        labels={row.item_id: label},
        source=LabelSource.CONSENSUS,
        confidence={row.item_id: confidence},
        reason=reason_for(row.round, "sure enough" if row.round.confident else "majority"),
    )


def agree(answers: Sequence[Annotation]) -> tuple[LabelClass | None, float]:
    """Return the class that more than half of the answers name, and their share.

    Unsure and unusable are answers: they speak against every class. So does a plain "No",
    which refuses the class that was asked about and names no other.
    """
    meant = [given.label.meant if given.label else None for given in answers]
    said = [
        (given.answer, label.pk if label else given.asked_id)
        for given, label in zip(answers, meant, strict=True)
    ]
    commonest, votes = Counter(said).most_common(1)[0]
    share = votes / len(answers)
    return (meant[said.index(commonest)] if share > STRICT_MAJORITY else None), share
