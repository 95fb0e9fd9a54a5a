"""Qualifications: made of known answers, judged when all is answered, tried again, waived."""

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import (
    NO_LIMIT,
    Annotator,
    Dataset,
    QualifyingAct,
    QualifyingEvent,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    User,
)
from labeling.queries import qualifications as queries
from labeling.services.rounds import CHANCE, NothingToAskError, make_round


class NotNowError(Exception):
    """The step does not fit where the person stands in the qualification; says why."""


def make_qualification(
    *,
    dataset: Dataset,
    count: int,
    pass_mark: int,
    attempts: int = 1,
    among: Iterable[int] | None = None,
    rng: random.Random = CHANCE,
    **options: Any,
) -> Round:
    """Ask everybody about `count` items that experts know, all classes in turn.

    `among` limits them to these items (by id); `options` are those of `make_round`.
    """
    known = queries.usable(dataset)
    if among is not None:
        known = known.filter(item__in=list(among))
    chosen = _drawn(list(known.order_by("pk").values_list("item", "label")), count, rng)
    if not chosen:
        raise NothingToAskError(
            _("Nothing is known yet: select items in Browse and make check items of them first.")
        )
    if len(chosen) < count:
        words = ngettext(
            "Only %(n)s check item of an expert can be asked here: ask for fewer, or make more.",
            "Only %(n)s check items of experts can be asked here: ask for fewer, or make more.",
            len(chosen),
        )
        raise NothingToAskError(words % {"n": len(chosen)})
    return make_round(
        dataset=dataset,
        kind=RoundKind.QUALIFY,
        items=chosen,
        answers_wanted=1,
        pass_mark=pass_mark,
        attempts=attempts,
        **options,
    )


def _drawn(known: list[tuple[int, int]], count: int, rng: random.Random) -> list[int]:
    """Draw items (by id) of all classes in turn, and mix them."""
    by_class: dict[int, list[int]] = defaultdict(list)
    for item, label in known:
        by_class[label].append(item)
    for items in by_class.values():
        rng.shuffle(items)
    drawn: list[int] = []
    while len(drawn) < count and any(by_class.values()):
        drawn += [items.pop() for items in by_class.values() if items][: count - len(drawn)]
    rng.shuffle(drawn)
    return drawn


def judge(*, asking: Round, annotator: Annotator, now: datetime) -> QualifyingEvent | None:
    """End an attempt in which all is answered; called after each answer, in its transaction."""
    # Of two last answers at once the second one sees both.
    list(Annotator.objects.select_for_update(no_key=True).filter(pk=annotator.pk).values("pk"))
    if queries.standing_in(asking, annotator).is_between:
        return None
    known, answered, right = queries.measured(asking, annotator)
    if not known or answered < known:
        return None
    has_passed = 100 * right >= asking.pass_mark * known
    return QualifyingEvent.objects.create(
        round=asking,
        annotator=annotator,
        act=QualifyingAct.PASSED if has_passed else QualifyingAct.FAILED,
        right=right,
        answered=known,
        at=now,
    )


@transaction.atomic
def end_attempt(*, asking: Round, annotator: Annotator, now: datetime) -> None:
    """Judge somebody to whom nothing is left to hand out: their last item may be gone by now."""
    if asking.kind == RoundKind.QUALIFY:
        judge(asking=asking, annotator=annotator, now=now)


@transaction.atomic
def start_again(
    *, asking: Round, annotator: Annotator, now: datetime, rng: random.Random = CHANCE
) -> None:
    """Begin another attempt about other items, whose answers the person has not read.

    Where fewer are known than the attempt asks, it asks the first ones anew. Earlier answers are
    kept as withdrawn.
    """
    list(Annotator.objects.select_for_update(no_key=True).filter(pk=annotator.pk).values("pk"))
    if not queries.standing_in(asking, annotator).may_try_again:
        raise NotNowError(_("There is no attempt left: your lead can give you another one."))
    given = queries.answers_of(asking).filter(annotator=annotator)
    places = RoundItem.objects.filter(round=asking, taken__gt=0)
    places.filter(item__in=list(given.values_list("item", flat=True))).update(taken=F("taken") - 1)
    given.update(withdrawn_at=now)
    event = _note(asking, annotator, QualifyingAct.AGAIN, by=annotator.user, now=now)
    event.items = _draw_again(asking, annotator, rng)
    event.save(update_fields=["items"])


def _draw_again(asking: Round, annotator: Annotator, rng: random.Random) -> list[int]:
    """Draw as many items (by id) as the first attempt had and give them places; else none."""
    places = RoundItem.objects.filter(round=asking)
    count = places.exclude(state=RoundItemState.GOLD).count()
    drawn = _drawn(queries.fresh_for(asking, annotator), count, rng)
    if len(drawn) < count:
        return []
    there = set(places.filter(item__in=drawn).values_list("item", flat=True))
    RoundItem.objects.bulk_create(
        [
            RoundItem(
                round=asking,
                item_id=item,
                position=place,
                wanted=NO_LIMIT,
                state=RoundItemState.GOLD,  # of those who are asked alone
            )
            for place, item in enumerate(drawn)
            if item not in there
        ],
        ignore_conflicts=True,  # somebody else drew it at the same moment
    )
    return drawn


@transaction.atomic
def grant_attempt(*, asking: Round, annotator: Annotator, by: User, now: datetime) -> None:
    """Let somebody try once more."""
    standing = queries.standing_in(asking, annotator)
    if standing.qualifies:
        raise NotNowError(_("%s has qualified already.") % annotator)
    if standing.tried < standing.attempts:
        raise NotNowError(_("%s has an attempt left.") % annotator)
    _note(asking, annotator, QualifyingAct.GRANTED, by=by, now=now)


@transaction.atomic
def waive(*, asking: Round, annotator: Annotator, by: User, now: datetime) -> None:
    """Let somebody answer without the qualification."""
    if queries.standing_in(asking, annotator).qualifies:
        raise NotNowError(_("%s has qualified already.") % annotator)
    _note(asking, annotator, QualifyingAct.WAIVED, by=by, now=now)


@transaction.atomic
def take_back(*, asking: Round, annotator: Annotator, by: User, now: datetime) -> None:
    """Take back the last waiver or further attempt that a lead gave."""
    if not queries.standing_in(asking, annotator).can_take_back:
        raise NotNowError(_("There is nothing to take back."))
    _note(asking, annotator, QualifyingAct.REVOKED, by=by, now=now)


def _note(
    asking: Round, annotator: Annotator, act: str, *, by: User | None, now: datetime
) -> QualifyingEvent:
    return QualifyingEvent.objects.create(round=asking, annotator=annotator, act=act, by=by, at=now)
