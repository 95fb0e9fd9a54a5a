"""Places of an open round put in the order that a model learns most from."""

import json
from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Max

from labeling.models import LabelSource, Round, RoundItem, RoundItemState

ROWS_A_STATEMENT = 2_000
IN_ORDER = {
    "sqlite": """
UPDATE labeling_rounditem SET position = %s + line.key
FROM json_each(%s) AS line
WHERE labeling_rounditem.id = line.value AND state = 'open' AND taken < wanted
""",
    "postgresql": """
UPDATE labeling_rounditem AS place SET position = %s + line.number - 1
FROM json_array_elements_text(%s::json) WITH ORDINALITY AS line(id, number)
WHERE place.id = line.id::bigint AND state = 'open' AND taken < wanted
""",
}


def set_order(*, asking: Round, places: Sequence[int], run: int, now: datetime) -> None:
    """Hand out these places (by id) in this order, which a run (by number) found, from now on.

    They move behind all positions so far: people are given what comes after their last answer.
    What somebody holds stays where it is, or its answer would carry them past the best ones.
    """
    last = RoundItem.objects.filter(round=asking).aggregate(last=Max("position"))["last"]
    start, moved = 0 if last is None else last + 1, 0
    for first in range(0, len(places), ROWS_A_STATEMENT):
        part = list(places[first : first + ROWS_A_STATEMENT])
        moved += _move(asking, part, start=start + first)
    made = {"ordered_at": now, "ordered_by": run, "ordered_items": moved}
    Round.objects.filter(pk=asking.pk).update(**made)


@transaction.atomic
def _move(asking: Round, places: list[int], *, start: int) -> int:
    rows = RoundItem.objects.filter(round=asking, pk__in=places).order_by("pk")
    # Whoever gives back several places locks them in this order too.
    locked = set(rows.select_for_update(of=("self",)).values_list("pk", flat=True))
    ours = json.dumps([place for place in places if place in locked])
    with connection.cursor() as cursor:
        cursor.execute(IN_ORDER[connection.vendor], [start, ours])
        return int(cursor.rowcount)


def ask_again(*, asking: Round, places: Sequence[int]) -> list[int]:
    """Ask one person more about settled places (by id); returns those that are open now.

    What a lead decided stays decided, and nobody is asked beyond the most that the round wants.
    """
    opened: list[int] = []
    for first in range(0, len(places), ROWS_A_STATEMENT):
        opened += _open(asking, places[first : first + ROWS_A_STATEMENT])
    return opened


@transaction.atomic
def _open(asking: Round, places: Sequence[int]) -> list[int]:
    settled = RoundItem.objects.filter(
        round=asking,
        round__closed_at__isnull=True,
        pk__in=places,
        state=RoundItemState.SETTLED,
        wanted__lt=asking.answers_wanted,
        item__label_source=LabelSource.CONSENSUS,
    ).order_by("pk")
    rows = list(settled.select_for_update(of=("self",)).values_list("pk", flat=True))
    RoundItem.objects.filter(pk__in=rows).update(state=RoundItemState.OPEN, wanted=F("wanted") + 1)
    return rows
