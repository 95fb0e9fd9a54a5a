"""Reads about disputes: items whose round ended without a majority, and that wait for a lead."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext

from labeling.models import (
    Annotation,
    Answer,
    Dataset,
    Item,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    User,
)
from labeling.queries.rounds import answers_given

DISPUTES_SHOWN = 100


def open_disputes(dataset: Dataset, *, round: int | None = None) -> QuerySet[RoundItem]:
    """Return what waits for a decision: not excluded, and not sent to a later adjudicate round."""
    sent_on = RoundItem.objects.filter(
        item=OuterRef("item"), round__kind=RoundKind.ADJUDICATE, round__gt=OuterRef("round")
    )
    rows = RoundItem.objects.filter(
        round__dataset=dataset,
        round__counts=True,
        state=RoundItemState.DISPUTED,
        item__excluded="",
    )
    rows = rows.filter(round=round) if round else rows
    return rows.exclude(Exists(sent_on)).order_by("round", "position")


def dispute_at(
    dataset: Dataset, *, round: int | None, place: int | None, later: Collection[int]
) -> RoundItem | None:
    """Return the dispute asked for (by id of its place), else the first that is not put off."""
    rows = open_disputes(dataset, round=round)
    rows = rows.select_related("item__content", "item__label", "round")
    if place is not None:
        return rows.filter(pk=place).first()
    return rows.exclude(pk__in=list(later)).first()


def own_answer(place: RoundItem, user: User) -> Annotation | None:
    """Return what this person answered about a disputed item in its round."""
    rows = _said(place).filter(annotator__user=user)
    return rows.select_related("label", "asked").first()


def answers_to(place: RoundItem) -> list[Annotation]:
    """Return everybody's answers about a disputed item in its round."""
    rows = _said(place).select_related("label", "asked", "annotator__user")
    return list(rows.order_by("pk"))


def _said(place: RoundItem) -> QuerySet[Annotation]:
    rows = Annotation.objects.filter(round=place.round_id, item=place.item_id, is_gold=False)
    return rows.filter(withdrawn_at__isnull=True).exclude(answer=Answer.SKIP)


def adjudicate_round(place: RoundItem) -> Round | None:
    """Return an open adjudicate round, later than the dispute, that does not have its item yet."""
    has_it = RoundItem.objects.filter(round=OuterRef("pk"), item=place.item_id)
    rows = Round.objects.filter(
        dataset=place.round.dataset_id,
        kind=RoundKind.ADJUDICATE,
        closed_at__isnull=True,
        pk__gt=place.round_id,
    )
    return rows.exclude(Exists(has_it)).order_by("-pk").first()


@dataclass(frozen=True)
class Dispute:
    """An item on whose answer no majority agrees, with what was said."""

    item: Item
    said: str


def disputes(asking: Round) -> list[Dispute]:
    """Return the disputed items in the order of the round."""
    rows = asking.round_items.filter(state=RoundItemState.DISPUTED).select_related("item__content")
    items = [row.item for row in rows.order_by("position")[:DISPUTES_SHOWN]]
    said: dict[int, list[str]] = {item.pk: [] for item in items}
    answers = answers_given().filter(round=asking, item__in=items, is_surplus=False, is_gold=False)
    for given in answers.select_related("label", "asked").order_by("pk"):
        said[given.item_id].append(_words(given))
    return [Dispute(item, ", ".join(said[item.pk])) for item in items]


def _words(given: Annotation) -> str:
    if given.label:
        return given.label.name
    if given.answer == Answer.NO and given.asked:
        return gettext("not %(name)s") % {"name": given.asked.name}
    words = str(given.get_answer_display()).lower()
    return f"{words}: {given.reason}" if given.reason else words
