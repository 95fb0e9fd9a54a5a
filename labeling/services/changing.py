"""A round that runs is changed: whom it asks, how often, in which order; no answer is lost."""

import random
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from labeling.models import Round, RoundItem, RoundItemState, User
from labeling.services.annotations import settle_if_whole
from labeling.services.rounds import ROWS_A_STATEMENT


@transaction.atomic
def change_round(
    *,
    asking: Round,
    name: str,
    purpose: str = "",
    people: Iterable[User] = (),
    requires: Round | None = None,
    deadline: datetime | None = None,
    price: Decimal | None = None,
    answers_wanted: int | None = None,
    order: str = "",
) -> None:
    """Change what a round asks from now on; what was answered stays and counts.

    Who is taken off keeps what they answered; what they hold goes to others when it runs out.
    """
    asking.name, asking.purpose, asking.requires = name, purpose, requires
    asking.deadline, asking.price = deadline, price
    asking.save(update_fields=["name", "purpose", "requires", "deadline", "price"])
    asking.people.set(people)
    if answers_wanted and answers_wanted != asking.answers_wanted:
        _want(asking, answers_wanted)
    if order:
        _reorder(asking, order)


def _want(asking: Round, answers: int) -> None:
    """Want so many answers of each item.

    More: items that have theirs are asked about again, and keep their label until then. Fewer:
    items that have enough settle at once; a place that somebody holds waits for that answer.
    """
    places = RoundItem.objects.filter(round=asking).exclude(state=RoundItemState.GOLD)
    is_more = answers > asking.answers_wanted
    asking.answers_wanted = answers
    asking.answers_least = min(asking.answers_least, answers)
    asking.save(update_fields=["answers_wanted", "answers_least"])
    if is_more and asking.confident:
        return  # those whose answers leave doubts get one more at a time, as before
    if is_more:
        places.filter(wanted__lt=answers).update(wanted=answers, state=RoundItemState.OPEN)
        return
    open_ones = places.filter(state=RoundItemState.OPEN, wanted__gt=answers)
    lowered = list(open_ones.order_by("pk").select_for_update(of=("self",)))
    open_ones.update(wanted=Greatest(F("taken"), answers))
    for place in RoundItem.objects.filter(pk__in=[row.pk for row in lowered]).order_by("pk"):
        place.round = asking
        settle_if_whole(place)


def _reorder(asking: Round, order: str) -> None:
    """Hand out what is left in another order: `random`, or `listed` by key."""
    places = RoundItem.objects.filter(round=asking).exclude(state=RoundItemState.GOLD)
    rows = list(places.order_by("item__key").only("pk", "position"))
    if order == "random":
        random.Random(asking.pk).shuffle(rows)
    for position, row in enumerate(rows):
        row.position = position
    RoundItem.objects.bulk_update(rows, ["position"], batch_size=ROWS_A_STATEMENT // 4)
