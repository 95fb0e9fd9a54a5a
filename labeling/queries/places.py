"""Which places of a round an annotator may be given next, in the order of the round."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Content,
    GuardAct,
    Item,
    LabelClass,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
)
from labeling.queries import checking
from labeling.queries.by_hand import Statement, execute, identity, listed, moment

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
STANDING = """
SELECT
  (SELECT act FROM labeling_guardevent
    WHERE annotator_id = %(annotator)s AND act IN ('pause', 'end', 'resume')
    ORDER BY id DESC LIMIT 1),
  (SELECT position FROM labeling_rounditem
    WHERE round_id = %(round)s AND state <> 'gold' AND item_id = (
      SELECT item_id FROM labeling_annotation
      WHERE annotator_id = %(annotator)s AND round_id = %(round)s AND NOT is_gold
      ORDER BY id DESC LIMIT 1)),
  EXISTS (SELECT 1 FROM labeling_claim
    WHERE annotator_id = %(annotator)s
      AND (expires_at < %(gone)s OR client_id = %(client_id)s))
"""
LEFT_BEHIND = """
SELECT place.id
FROM labeling_claim held JOIN labeling_rounditem place ON place.id = held.round_item_id
WHERE held.annotator_id = %(annotator)s AND place.round_id = %(round)s
  AND place.state IN ('open', 'gold')
  AND held.expires_at > %(now)s
  AND (held.expires_at < %(gone)s OR held.client_id = %(client_id)s)
ORDER BY held.id LIMIT %(count)s
"""
PLACES = """
SELECT {place}, {item}, {content}
FROM labeling_rounditem place JOIN labeling_item item ON item.id = place.item_id
JOIN labeling_content content ON content.sha256 = item.content_id
WHERE place.id IN (<ids>)
"""
SHOWN = Statement(PLACES, place=RoundItem, item=Item, content=Content)
OF_ITEM = Statement(
    """
    SELECT {place} FROM labeling_rounditem place
    WHERE place.round_id = %(round)s AND place.item_id = %(item)s ORDER BY place.id
    """,
    place=RoundItem,
)
GIVEN = Statement(
    """
    SELECT {given} FROM labeling_annotation given
    WHERE given.round_id = %(round)s AND given.item_id = %(item)s
      AND given.annotator_id = %(annotator)s
    """,
    given=Annotation,
)
GIVEN_BY = """
SELECT given.round_id, COUNT(CASE WHEN given.answer <> 'skip' THEN 1 END),
  COUNT(CASE WHEN given.answer <> 'skip' AND given.created_at >= %(since)s THEN 1 END),
  AVG(CASE WHEN given.answer <> 'skip' THEN given.seconds END), COUNT(place.id)
FROM labeling_annotation given LEFT JOIN labeling_rounditem place
  ON place.round_id IN (<rounds>)
  AND place.round_id = given.round_id AND place.item_id = given.item_id
  AND place.state = 'open' AND place.taken < place.wanted
WHERE given.annotator_id IN (<people>) AND given.withdrawn_at IS NULL
GROUP BY given.round_id
"""
AMONG = "place.state IN ('open', 'gold') AND place.item_id IN (<ids>)"
BEFORE_ALL, AFTER_ALL = -1, 2**31 - 1  # positions are 0 and up, in four bytes


@dataclass(frozen=True)
class Standing:
    """Where an annotator stands in a round: stopped, last answered, holding what no page has."""

    is_stopped: bool
    last: int
    may_have_left: bool


def standing_in(
    round: Round, annotator: Annotator, *, gone: datetime, client_id: UUID | None
) -> Standing:
    """Return where an annotator stands.

    Claims that end before `gone`, or are of this very request, may be left behind.
    """
    names = {"round": round.pk, "annotator": annotator.pk, "gone": moment(gone)}
    ((act, last, has_left),) = execute(STANDING, {**names, "client_id": identity(client_id)})
    is_stopped = act in (GuardAct.PAUSE, GuardAct.END)
    return Standing(is_stopped, BEFORE_ALL if last is None else last, bool(has_left))


def free_places(
    round: Round, annotator: Annotator, *, last: int, count: int, among: Sequence[int] = ()
) -> list[int]:
    """Return up to `count` places (by id): after the annotator's last answer, then from the start.

    Walking from the start each time would pass everything that this annotator has
    answered and that still waits for others. `among`: these items (by id) alone, gold or not.
    """
    if among:
        everything = FREE.replace("place.state = 'open'", AMONG.replace("<ids>", listed(among)))
        names = {"after": BEFORE_ALL, "until": AFTER_ALL, "count": count}
        return _column(everything + FIRST, round, annotator, **names)
    found = _free(round, annotator, after=last, until=AFTER_ALL, count=count)
    if len(found) < count and last > BEFORE_ALL:
        found += _free(round, annotator, after=BEFORE_ALL, until=last, count=count - len(found))
    return found


def _free(round: Round, annotator: Annotator, *, after: int, until: int, count: int) -> list[int]:
    words = FREE + (NOT_THEIR_OWN if round.kind == RoundKind.VERIFY else "") + FIRST
    if connection.features.has_select_for_update_skip_locked:
        words += " FOR UPDATE OF place SKIP LOCKED"
    return _column(words, round, annotator, after=after, until=until, count=count)


def left_behind(
    round: Round,
    annotator: Annotator,
    *,
    now: datetime,
    gone: datetime,
    client_id: UUID | None,
    count: int,
) -> list[int]:
    """Return places (by id) of live claims that no page has.

    They end before `gone`, as nobody renews them, or are of a request that is made again.
    """
    names = {"now": moment(now), "gone": moment(gone), "client_id": identity(client_id)}
    return _column(LEFT_BEHIND, round, annotator, count=count, **names)


def shown_places(round: Round, places: Sequence[int], annotator: Annotator) -> list[RoundItem]:
    """Return places (by id) in this order, with what people are shown of their items."""
    found: dict[int, RoundItem] = {}
    for place, item, content in SHOWN.rows(ids=places) if places else ():
        place.item, item.content = item, content
        found[place.pk] = place
    if round.kind == RoundKind.VERIFY:
        _name_labels([row.item for row in found.values()])
        if round.gold_every:
            golds = [row for row in found.values() if row.state == GOLD]
            checking.ask_about(round, annotator, golds)
    return [found[place] for place in places]


def _name_labels(items: Sequence[Item]) -> None:
    classes = LabelClass.objects.in_bulk({item.label_id for item in items if item.label_id})
    for item in items:
        item.label = classes.get(item.label_id) if item.label_id else None


def locked_places(asking: Round, item: int) -> list[RoundItem]:
    """Return the places of an item (by id) in a round, locked: one, or two with a gold one."""
    return [row for (row,) in OF_ITEM.rows(lock="place", round=asking.pk, item=item)]


def given_by(annotator: Annotator, asking: Round, item: int) -> list[Annotation]:
    """Return what an annotator answered about an item (by id) of a round, withdrawn or not."""
    rows = GIVEN.rows(round=asking.pk, item=item, annotator=annotator.pk)
    return [row for (row,) in rows]


def said_before(annotator: Annotator, item: int) -> bool:
    """Tell whether somebody said in another kind of round what an item (by id) is."""
    given = Annotation.objects.filter(item=item, annotator=annotator, withdrawn_at__isnull=True)
    return given.exclude(answer=Answer.SKIP).exclude(round__kind=RoundKind.VERIFY).exists()


def _column(words: str, round: Round, annotator: Annotator, **more: Any) -> list[int]:
    names = {"round": round.pk, "annotator": annotator.pk, **more}
    return [value for (value,) in execute(words, names)]


def said_about(asking: Round, annotator: Annotator, item: str) -> QuerySet[Annotation]:
    """What an annotator said about an item (named as seen from outside) that bars them from it."""
    given = Annotation.objects.filter(
        item=OuterRef(item), annotator=annotator, withdrawn_at__isnull=True
    )
    if asking.kind != RoundKind.VERIFY:
        return given.filter(round=asking)
    theirs = ~Q(round__kind=RoundKind.VERIFY) & ~Q(answer=Answer.SKIP)
    return given.filter(Q(round=asking) | theirs)


@dataclass(frozen=True)
class Given:
    """How much somebody answered in a round, and how much of that is still asked of others."""

    answers: int = 0
    lately: int = 0
    seconds: float | None = None  # of one answer
    waits: int = 0  # free places, also of what was skipped


def answers_by_round(
    asked: Iterable[Round], people: Sequence[int], *, since: datetime
) -> dict[int, Given]:
    """Return what annotators (by id) gave, by round (by id); in these rounds also what waits.

    In one walk over their answers, to other rounds as well: they may be many.
    """
    if not people:
        return {}
    rounds = listed([row.pk for row in asked]) or "NULL"
    words = GIVEN_BY.replace("<people>", listed(people)).replace("<rounds>", rounds)
    return {pk: Given(*counted) for pk, *counted in execute(words, {"since": moment(since)})}


def left_in(
    asked: Iterable[Round], people: Sequence[int], *, given: Mapping[int, Given]
) -> Counter[int]:
    """Count by round (by id) the places that are free for somebody, an annotator in each dataset.

    What is free is counted over one index, and what they cannot answer is taken off, found
    from their own answers: walking every place asks about each of them.
    """
    free = RoundItem.objects.filter(
        round__in=[row.pk for row in asked], state=RoundItemState.OPEN, taken__lt=F("wanted")
    ).order_by()
    left = Counter(_by_round(free))
    left.subtract({pk: given[pk].waits for pk in left if pk in given})
    mine = Annotation.objects.filter(annotator__in=people, withdrawn_at__isnull=True)
    here = mine.filter(round=OuterRef("round"), item=OuterRef("item"))
    others = free.filter(~Exists(here))  # what was answered is taken off already
    out = Item.objects.filter(dataset__in={row.dataset_id for row in asked}, excluded__gt="")
    left.subtract(_by_round(others.filter(item__in=out.values("pk"))))
    verified = [row.pk for row in asked if row.kind == RoundKind.VERIFY]
    if verified:  # nobody verifies what they said themselves
        said = mine.exclude(round__kind=RoundKind.VERIFY).exclude(answer=Answer.SKIP)
        own = others.filter(round__in=verified, item__excluded="", item__in=said.values("item"))
        left.subtract(_by_round(own))
    # Counted one after the other: others may have taken what was free meanwhile.
    return Counter({pk: max(0, n) for pk, n in left.items()})


def _by_round(rows: QuerySet[Any]) -> dict[int, int]:
    return dict(rows.values_list("round").annotate(n=Count("*")))
