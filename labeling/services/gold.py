"""Gold items: made, corrected, retired, and mixed into what people are given."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import F

from labeling.models import (
    NO_LIMIT,
    Annotator,
    Dataset,
    GoldItem,
    GoldSource,
    Item,
    LabelClass,
    Round,
    RoundItem,
    RoundItemState,
    User,
)
from labeling.queries import checking, guards
from labeling.queries import gold as queries
from mlcore.guards import CLOSELY

ROWS_A_STATEMENT = 500
EASIEST_OF = 4  # gold items drawn for one that is given to somebody who is checked closely


@transaction.atomic
def use_as_gold(
    *,
    labels: Mapping[int, int],
    dataset: Dataset,
    source: str = GoldSource.EXPERT,
    why: str = "",
    by: User | None,
    now: datetime,
) -> int:
    """Take the class (by id) of each item (by id) as known; returns how many are new or other."""
    items = Item.objects.filter(dataset=dataset, pk__in=labels).order_by("pk")
    there = set(items.select_for_update(of=("self",)).values_list("pk", flat=True))
    before = dict(queries.known(dataset).filter(item__in=there).values_list("item", "label"))
    new = {pk: labels[pk] for pk in sorted(there) if before.get(pk) != labels[pk]}
    _retire(new, now=now)
    GoldItem.objects.bulk_create(
        [
            GoldItem(item_id=pk, label_id=label, source=source, why=why, made_by=by)
            for pk, label in new.items()
        ],
        batch_size=ROWS_A_STATEMENT,
    )
    return len(new)


def use_labels_as_gold(*, items: Iterable[int], dataset: Dataset, by: User, now: datetime) -> int:
    """Take the labels that items (by id) have as known; those without a label are left out."""
    rows = Item.objects.filter(dataset=dataset, pk__in=list(items), label__isnull=False)
    labels = dict(rows.filter(label__retired_at__isnull=True).values_list("pk", "label"))
    return use_as_gold(labels=labels, dataset=dataset, by=by, now=now)


def promote_agreed(
    *, dataset: Dataset, count: int, by: User, now: datetime, rng: random.Random
) -> int:
    """Make gold of up to `count` items on which everybody agrees, all classes in turn."""
    by_class: dict[int, list[int]] = defaultdict(list)
    for item, label in queries.agreed(dataset):
        by_class[label].append(item)
    for items in by_class.values():
        rng.shuffle(items)
    chosen: dict[int, int] = {}
    while len(chosen) < count and any(by_class.values()):
        for label in sorted(by_class):
            if by_class[label] and len(chosen) < count:
                chosen[by_class[label].pop()] = label
    return use_as_gold(labels=chosen, dataset=dataset, source=GoldSource.AGREED, by=by, now=now)


def correct_gold(*, gold: GoldItem, label: LabelClass, by: User, now: datetime) -> None:
    """Replace a known answer; what people said so far is measured by the new one."""
    item = gold.item
    use_as_gold(labels={item.pk: label.pk}, dataset=item.dataset, why=gold.why, by=by, now=now)


def retire_gold(*, gold: GoldItem, now: datetime) -> None:
    """Ask about a gold item no longer; it measures nobody any more."""
    _retire([gold.item_id], now=now)


def _retire(items: Iterable[int], *, now: datetime) -> int:
    rows = GoldItem.objects.filter(item__in=list(items), retired_at__isnull=True)
    return rows.update(retired_at=now)


def take_places(
    round: Round, annotator: Annotator, *, of: int, beside: int, rng: random.Random
) -> list[int]:
    """Take gold places (by id) for an annotator among the next `of` items; mostly none.

    Drawn for each of the `beside` items that are free for them: gold alone is never asked.
    What they gave back, skipped or parked and want again comes back whatever is free. For who is
    checked closely they are easy ones: what nearly everybody knows tells soonest who does not look.
    """
    if not round.gold_every:
        return []
    items = checking.given_back(round, annotator)[:of]
    draws = [rng.random() for _ in range(min(beside, of - len(items)))]
    every = guards.gold_every(round, annotator) if min(draws, default=1) * CLOSELY < 1 else NO_LIMIT
    drawn = sum(draw * every < 1 for draw in draws)
    is_close = every < round.gold_every
    if drawn:
        drawn = min(drawn, checking.room_for(round, annotator, beside=beside) - len(items))
    if drawn > 0:
        fresh = [pk for pk in checking.unseen(round, annotator) if pk not in items]
        tried = rng.sample(fresh, min(drawn * (EASIEST_OF if is_close else 1), len(fresh)))
        items += checking.easiest_first(tried, dataset=round.dataset)[:drawn] if is_close else tried
    return [_place(round, item) for item in sorted(items)]  # all lock them in one order


def _place(round: Round, item: int) -> int:
    """Return the gold place of an item (by id), with one person more on it."""
    place, _is_new = RoundItem.objects.get_or_create(
        round=round,
        item_id=item,
        state=RoundItemState.GOLD,
        defaults={"position": 0, "wanted": NO_LIMIT},
    )
    RoundItem.objects.filter(pk=place.pk, taken__lt=F("wanted")).update(taken=F("taken") + 1)
    return place.pk
