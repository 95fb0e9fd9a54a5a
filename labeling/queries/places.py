"""Which places of a round an annotator may be given next, in the order of the round.

In SQL by hand: this is asked for each item that anybody answers, and building the same
statement from a queryset cost ten times what either database takes to answer it
(bench/annotate_load.py).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Item,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
)
from labeling.queries import gold

GOLD = RoundItemState.GOLD
FREE = """
SELECT place.id
FROM labeling_rounditem place
JOIN labeling_item item ON item.id = place.item_id
JOIN labeling_round asking ON asking.id = place.round_id
WHERE place.round_id = %(round)s AND place.state = 'open' AND place.taken < place.wanted
  AND place.position > %(after)s AND place.position <= %(until)s
  AND item.excluded = '' AND asking.closed_at IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM labeling_annotation given
    WHERE given.round_id = place.round_id AND given.item_id = place.item_id
      AND given.annotator_id = %(annotator)s AND given.withdrawn_at IS NULL)
  AND NOT EXISTS (
    SELECT 1 FROM labeling_claim held
    WHERE held.round_item_id = place.id AND held.annotator_id = %(annotator)s)
"""
NOT_THEIR_OWN = """
  AND NOT EXISTS (
    SELECT 1 FROM labeling_annotation own JOIN labeling_round other ON other.id = own.round_id
    WHERE own.item_id = place.item_id AND own.annotator_id = %(annotator)s
      AND own.withdrawn_at IS NULL AND own.answer <> 'skip' AND other.kind <> 'verify')
"""
FIRST = "ORDER BY place.position LIMIT %(count)s"
LAST_ANSWERED = """
SELECT position FROM labeling_rounditem
WHERE round_id = %(round)s AND state <> 'gold' AND item_id = (
  SELECT item_id FROM labeling_annotation
  WHERE annotator_id = %(annotator)s AND round_id = %(round)s AND NOT is_gold
  ORDER BY id DESC LIMIT 1)
"""
LEFT_BEHIND = """
SELECT place.id
FROM labeling_claim held JOIN labeling_rounditem place ON place.id = held.round_item_id
WHERE held.annotator_id = %(annotator)s AND place.round_id = %(round)s
  AND place.state IN ('open', 'gold')
  AND held.expires_at > %(now)s AND held.expires_at < %(gone)s
ORDER BY held.id LIMIT %(count)s
"""
BEFORE_ALL, AFTER_ALL = -1, 2**31 - 1  # positions are 0 and up, in four bytes


def free_places(round: Round, annotator: Annotator, *, count: int) -> list[int]:
    """Return up to `count` places (by id): after the annotator's last answer, then from the start.

    Walking from the start each time would pass everything that this annotator has
    answered and that still waits for others.
    """
    last = _last_position(round, annotator)
    found = _free(round, annotator, after=last, until=AFTER_ALL, count=count)
    if len(found) < count and last > BEFORE_ALL:
        found += _free(round, annotator, after=BEFORE_ALL, until=last, count=count - len(found))
    return found


def _free(round: Round, annotator: Annotator, *, after: int, until: int, count: int) -> list[int]:
    words = FREE + (NOT_THEIR_OWN if round.kind == RoundKind.VERIFY else "") + FIRST
    if connection.features.has_select_for_update_skip_locked:
        words += " FOR UPDATE OF place SKIP LOCKED"
    return _column(words, round, annotator, after=after, until=until, count=count)


def _last_position(round: Round, annotator: Annotator) -> int:
    found = _column(LAST_ANSWERED, round, annotator)
    return found[0] if found else BEFORE_ALL


def left_behind(
    round: Round, annotator: Annotator, *, now: datetime, gone: datetime, count: int
) -> list[int]:
    """Return places (by id) of live claims that end before `gone`: no page renews them."""
    moments = {"now": _moment(now), "gone": _moment(gone)}
    return _column(LEFT_BEHIND, round, annotator, count=count, **moments)


def shown_places(round: Round, places: Sequence[int], annotator: Annotator) -> list[RoundItem]:
    """Return places (by id) in this order, with what people are shown of their items."""
    rows = RoundItem.objects.filter(pk__in=places).select_related("item__content")
    if round.kind == RoundKind.VERIFY:
        rows = rows.select_related("item__content", "item__label")
    found = {row.pk: row for row in rows} if places else {}
    if round.kind == RoundKind.VERIFY and round.gold_every:
        gold.ask_about(round, annotator, [row for row in found.values() if row.state == GOLD])
    return [found[place] for place in places]


def said_before(annotator: Annotator, item: int) -> bool:
    """Tell whether somebody said in another kind of round what an item (by id) is."""
    given = Annotation.objects.filter(item=item, annotator=annotator, withdrawn_at__isnull=True)
    return given.exclude(answer=Answer.SKIP).exclude(round__kind=RoundKind.VERIFY).exists()


def _moment(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)


def _column(words: str, round: Round, annotator: Annotator, **more: Any) -> list[int]:
    names = {"round": round.pk, "annotator": annotator.pk, **more}
    with connection.cursor() as cursor:
        cursor.execute(words, names)
        rows: Sequence[tuple[int]] = cursor.fetchall()
    return [value for (value,) in rows]


def said_about(asking: Round, annotator: Annotator, item: str) -> QuerySet[Annotation]:
    """What an annotator said about an item (named as seen from outside) that bars them from it."""
    given = Annotation.objects.filter(
        item=OuterRef(item), annotator=annotator, withdrawn_at__isnull=True
    )
    if asking.kind != RoundKind.VERIFY:
        return given.filter(round=asking)
    theirs = ~Q(round__kind=RoundKind.VERIFY) & ~Q(answer=Answer.SKIP)
    return given.filter(Q(round=asking) | theirs)


def left_in(asked: Iterable[Round], who: Q) -> Counter[int]:
    """Count by round the places that are free for somebody (a condition on annotations).

    What is free is counted over one index, and what they cannot answer is taken off, found
    from their own answers: walking every place asks about each of them.
    """
    rounds = [row.pk for row in asked]
    free = RoundItem.objects.filter(
        round__in=rounds, state=RoundItemState.OPEN, taken__lt=F("wanted")
    ).order_by()
    given = Annotation.objects.filter(who, withdrawn_at__isnull=True).order_by()
    place = free.filter(round=OuterRef("round"), item=OuterRef("item"))
    answered = given.filter(Exists(place), round__in=rounds)
    verified = [row.pk for row in asked if row.kind == RoundKind.VERIFY]
    said = given.exclude(round__kind=RoundKind.VERIFY).exclude(answer=Answer.SKIP)
    left = Counter(_by_round(free))
    left.subtract(_by_round(answered))
    out = Item.objects.filter(dataset__in={row.dataset_id for row in asked}, excluded__gt="")
    left.subtract(_by_round(free.filter(item__in=out.values("pk"))))
    if verified:  # nobody verifies what they said themselves
        own = free.filter(round__in=verified, item__in=said.values("item"))
        left.subtract(_by_round(own))
    return Counter({pk: max(0, n) for pk, n in left.items()})


def _by_round(rows: QuerySet[Any]) -> dict[int, int]:
    return dict(rows.values_list("round").annotate(n=Count("pk")))
