"""Reads for one annotator: own answers, replies to questions, what the model would say."""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Min, QuerySet, When
from django.utils.translation import gettext

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Claim,
    Dataset,
    Item,
    LabelClass,
    Question,
    Round,
    RoundItemState,
    RoundKind,
    Suggesting,
    Suggestion,
    SuggestionShown,
    User,
)
from labeling.queries.by_hand import Statement
from labeling.queries.qualifications import bar_of
from labeling.queries.rounds import Held, MyWork, start_of_day, work_for

UNDO_MOST = 20
ANSWERS_A_PAGE = 50
QUESTIONS_SHOWN = 50
WITHHELD_ONE_IN = 10  # of the suggestions, so that their pull can be measured
ANNOTATOR = Statement(
    """
    SELECT {annotator} FROM labeling_annotator annotator
    WHERE annotator.dataset_id = %(dataset)s AND annotator.user_id = %(user)s
    """,
    annotator=Annotator,
)


def annotator_of(dataset: Dataset, user: User) -> Annotator | None:
    """Return the annotator that a user is in a dataset, if they were one before."""
    found = ANNOTATOR.first(dataset=dataset.pk, user=user.pk)
    return found[0] if found else None


def own_answers(asking: Round, annotator: Annotator) -> QuerySet[Annotation]:
    """Return what an annotator answered in a round and did not take back, newest first."""
    rows = Annotation.objects.filter(round=asking, annotator=annotator, withdrawn_at__isnull=True)
    return rows.select_related("label", "asked", "item__content", "item__label").order_by("-pk")


def own_answers_page(
    asking: Round, annotator: Annotator, *, before: int | None
) -> tuple[list[Annotation], int | None]:
    """Return one page of own answers, and the pk before which the next page begins."""
    rows = own_answers(asking, annotator)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: ANSWERS_A_PAGE + 1])
    more = len(found) > ANSWERS_A_PAGE
    return found[:ANSWERS_A_PAGE], found[ANSWERS_A_PAGE - 1].pk if more else None


def last_answers(asking: Round, annotator: Annotator) -> list[Annotation]:
    """Return those answers that the screen can undo."""
    return list(own_answers(asking, annotator)[:UNDO_MOST])


def answer_to_change(asking: Round, annotator: Annotator, item: int | None) -> Annotation | None:
    """Return the own answer about an item (by id), where it can still be changed."""
    if item is None or asking.kind == RoundKind.QUALIFY:
        return None
    return own_answers(asking, annotator).filter(item_id=item).first()


def replies_for(user: User) -> list[Question]:
    """Return this person's questions: new replies first, then what waits, then the newest."""
    rows = Question.objects.filter(annotator__user=user, round__closed_at__isnull=True)
    found = rows.select_related("round__dataset", "item__content", "replied_by").order_by("-pk")
    return sorted(found[:QUESTIONS_SHOWN], key=lambda row: (not is_new(row), bool(row.reply)))


def is_new(question: Question) -> bool:
    """Return whether there is a reply that who asked has not seen."""
    return question.replied_at is not None and question.seen_at is None


def questions_of(asking: Round) -> QuerySet[Question]:
    """Return the questions of a round for its lead, unanswered ones first."""
    rows = asking.questions.select_related("annotator__user", "item__content", "replied_by")
    return rows.order_by(Case(When(reply="", then=0), default=1), "-pk")


def work_of(user: User, *, now: datetime) -> MyWork:
    """Return the open rounds of a person, with what is new and why nothing is free."""
    work = work_for(user, today=start_of_day(now))
    held = _held_by_others([row.round for row in work.finished], user, now=now)
    seen = _seen_guidelines(user)
    rounds = [
        replace(
            row,
            first=_first(row.round, user),
            held=held.get(row.round.pk),
            guideline_changed=not row.round.wording
            and seen.get(row.round.dataset_id) not in (None, row.round.guideline_id),
        )
        for row in work.rounds
    ]
    return replace(work, rounds=rounds)


def _first(asking: Round, user: User) -> Round | None:
    """Return the qualification that has to be passed before a round, if any."""
    if asking.requires_id is None:
        return None
    known = Annotator.objects.filter(dataset=asking.dataset_id, user=user).first()
    return bar_of(asking, known) if known else asking.requires


def _held_by_others(rounds: list[Round], user: User, *, now: datetime) -> dict[int, Held]:
    rows = (
        Claim.objects.filter(round_item__round__in=rounds)
        .exclude(annotator__user=user)
        .exclude(round_item__state=RoundItemState.GOLD)
        .values("round_item__round")
        .annotate(n=Count("round_item", distinct=True), soonest=Min("expires_at"))
        .values_list("round_item__round", "n", "soonest")
    )
    return {pk: Held(n, max(0, round((soonest - now).total_seconds()))) for pk, n, soonest in rows}


def _seen_guidelines(user: User) -> dict[int, int | None]:
    rows = Annotator.objects.filter(user=user, guideline_seen__isnull=False)
    return dict(rows.values_list("dataset_id", "guideline_seen_id"))


def suggestions_for(
    asking: Round, annotator: Annotator, items: list[Item]
) -> dict[int, dict[str, Any]]:
    """Return by item what the model would say and whether this annotator may be shown it."""
    if asking.suggesting == Suggesting.OFF or asking.kind != RoundKind.CLASSIFY:
        return {}
    rows = Suggestion.objects.filter(item__in=items, label__retired_at__isnull=True)
    return {
        row.item_id: {
            "id": row.label_id,
            "name": row.label.name,
            "shown": _shown(asking, annotator, row.item_id),
        }
        for row in rows.select_related("label")
    }


def _shown(asking: Round, annotator: Annotator, item: int) -> str:
    """Choose by hash, so that a second look at the same item shows the same."""
    text = f"{asking.pk}:{annotator.pk}:{item}".encode()
    draw = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return SuggestionShown.WITHHELD if draw % WITHHELD_ONE_IN == 0 else asking.suggesting


def words_for(answer: str, *, label: LabelClass | None, asked: LabelClass | None) -> str:
    """Return an answer as its annotator reads it."""
    if label:
        return label.name
    if answer == Answer.NO and asked:
        return gettext("not %(name)s") % {"name": asked.name}
    return str(Answer(answer).label)
