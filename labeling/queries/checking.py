"""Reads before gold items are handed out: which tell something, how many, what is asked of them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Claim,
    Dataset,
    GoldItem,
    LabelClass,
    Round,
    RoundItem,
    RoundItemState,
)
from labeling.queries import gold, guards
from labeling.queries.by_hand import execute
from mlcore.guards import CLOSELY

UNTIL_VOUCHED = 10  # gold answers after which an honest newcomer is vouched for (mlcore.guards)
BY_LUCK = 2  # gold items ahead of their rate

GIVEN_BACK = """
SELECT DISTINCT back.item_id
FROM labeling_annotation back JOIN labeling_item item ON item.id = back.item_id
WHERE back.annotator_id = %(annotator)s AND back.round_id = %(round)s AND back.is_gold
  AND back.withdrawn_at IS NOT NULL AND item.excluded = ''
  AND NOT EXISTS (
    SELECT 1 FROM labeling_annotation given
    WHERE given.annotator_id = back.annotator_id AND given.round_id = back.round_id
      AND given.item_id = back.item_id AND given.is_gold AND given.withdrawn_at IS NULL)
  AND NOT EXISTS (
    SELECT 1 FROM labeling_claim held JOIN labeling_rounditem place
      ON place.id = held.round_item_id
    WHERE held.annotator_id = back.annotator_id AND place.item_id = back.item_id)
"""


def unseen(asking: Round, annotator: Annotator) -> list[int]:
    """Return gold items (by id) that tell something about an annotator: new to them, not theirs.

    An item that the round still asks about as any other is left out.
    """
    answered = Annotation.objects.filter(
        annotator=annotator, item=OuterRef("item"), withdrawn_at__isnull=True
    )
    held = Claim.objects.filter(annotator=annotator, round_item__item=OuterRef("item"))
    asked = RoundItem.objects.filter(round=asking, item=OuterRef("item")).exclude(
        state__in=(RoundItemState.GOLD, RoundItemState.SETTLED)
    )
    rows = GoldItem.objects.filter(
        ~Exists(answered),
        ~Exists(held),
        ~Exists(asked),
        item__dataset=asking.dataset_id,
        item__excluded="",
        label__retired_at__isnull=True,
        retired_at__isnull=True,
    )
    if annotator.user_id:
        rows = rows.exclude(made_by=annotator.user_id)
    return list(rows.order_by("pk").values_list("item", flat=True))


def easiest_first(items: Sequence[int], *, dataset: Dataset) -> list[int]:
    """Order gold items (by id) by how many are right about them; an untried one counts as half."""
    rows = gold.answers(dataset).filter(item__in=list(items)).order_by().values("item")
    counted = rows.annotate(n=Count("pk"), right=Count("pk", filter=Q(is_right=True)))
    share = {row["item"]: (row["right"] + 1) / (row["n"] + 2) for row in counted}
    return sorted(items, key=lambda item: -share.get(item, 0.5))


def given_back(asking: Round, annotator: Annotator) -> list[int]:
    """Return gold items (by id) that an annotator skipped, parked or undid and wants again."""
    names = {"round": asking.pk, "annotator": annotator.pk}
    return [item for (item,) in execute(GIVEN_BACK, names)]


@dataclass(frozen=True)
class Given:
    """What an annotator answered in a round and what they hold of it: gold, and others."""

    gold: int
    others: int
    held_gold: int
    held_others: int


def given_in(asking: Round, annotator: Annotator) -> Given:
    """Count what an annotator answered in a round and what they hold of it."""
    mine = Annotation.objects.filter(round=asking, annotator=annotator, withdrawn_at__isnull=True)
    done = mine.exclude(answer=Answer.SKIP).aggregate(
        gold=Count("pk", filter=Q(is_gold=True)), others=Count("pk", filter=Q(is_gold=False))
    )
    is_gold = Q(round_item__state=RoundItemState.GOLD)
    held = Claim.objects.filter(annotator=annotator, round_item__round=asking).aggregate(
        held_gold=Count("pk", filter=is_gold), held_others=Count("pk", filter=~is_gold)
    )
    return Given(**done, **held)


@dataclass(frozen=True)
class Most:
    """How many gold items come at most, and whether they are more than were counted at first."""

    n: int
    is_more: bool


def most(asking: Round, annotator: Annotator, *, others: int, had: int) -> Most:
    """Return how many gold items come at most among so many others.

    Who had all that are usual and is not vouched for by them gets as many as others: counted
    once, so that what is left does not grow at each of them, and so tell.
    """
    early = 0
    if 0 < CLOSELY < asking.gold_every:
        mine = Annotation.objects.filter(annotator=annotator, is_gold=True)
        before = mine.filter(withdrawn_at__isnull=True).exclude(round=asking)
        early = min(others, max(0, UNTIL_VOUCHED - before.count()))
    usual = round(others / max(1, asking.gold_every - 1)) + early + BY_LUCK
    is_close = usual < others and had >= usual and _is_close(asking, annotator)
    return Most(others, True) if is_close else Most(usual, False)


def _is_close(asking: Round, annotator: Annotator) -> bool:
    return guards.gold_every(asking, annotator) < asking.gold_every


def room_for(asking: Round, annotator: Annotator, *, beside: int) -> int:
    """Return how many gold items may be given beside so many others, so that `most` holds."""
    given = given_in(asking, annotator)
    others, had = given.others + given.held_others + beside, given.gold + given.held_gold
    return max(0, most(asking, annotator, others=others, had=had).n - had)


def still_to_come(asking: Round, annotator: Annotator, *, left: int) -> Most:
    """Return how many gold items to count among what is left, so that the total does not grow.

    `left` holds what the annotator has reserved, gold or not. Were gold items counted only once
    answered, the total would grow at each of them, and so tell.
    """
    if not (left and asking.gold_every):
        return Most(0, False)
    given = given_in(asking, annotator)
    others, had = given.others + left - given.held_gold, given.gold + given.held_gold
    there = had + len(unseen(asking, annotator))
    found = most(asking, annotator, others=others, had=had)
    return Most(max(0, min(found.n, there) - had), found.is_more)


def ask_about(asking: Round, annotator: Annotator, rows: Sequence[RoundItem]) -> None:
    """Let a verify round ask of gold items as often about a wrong class as about the right one.

    Chosen by hash: asked again, the question is the same.
    """
    items = [row.item_id for row in rows]
    right = {gold.item_id: gold.label for gold in _labels_of(items)}
    classes = list(LabelClass.objects.filter(dataset=asking.dataset_id, retired_at=None))
    for row in rows:
        label = right.get(row.item_id, row.item.label)
        others = [each for each in classes if each != label]
        text = f"{asking.pk}:{annotator.pk}:{row.item_id}".encode()
        draw = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        is_wrong = others and draw % 2
        row.item.label = others[draw // 2 % len(others)] if is_wrong else label


def _labels_of(items: Iterable[int]) -> QuerySet[GoldItem]:
    rows = GoldItem.objects.filter(item__in=list(items), retired_at__isnull=True)
    return rows.select_related("label")
