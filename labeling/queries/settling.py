"""Reads for settling: what was answered to each place, and what its item is called by now."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from labeling.models import (
    Annotation,
    Answer,
    Dataset,
    LabelChange,
    LabelSource,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
)

SETTLED_BY_CROWD = (RoundKind.CLASSIFY, RoundKind.VERIFY)  # the others are asked of experts
ENDED = (RoundItemState.SETTLED, RoundItemState.DISPUTED)
IMPORTED = "imported answers"  # purpose of the round of answers that were given elsewhere


@dataclass(frozen=True)
class Place:
    """A place that has its answers, with what its item is called."""

    pk: int
    round: int
    item: int
    state: str
    label: int | None
    source: str


def ended_places(dataset: Dataset) -> list[Place]:
    """Return the places that wait for nobody, of items that no person decided about.

    An item belongs to the round that asked about it last, and to whom it was sent on.
    """
    rows = RoundItem.objects.filter(round__dataset=dataset, round__counts=True, item__excluded="")
    last: dict[int, tuple[Place, str]] = {}
    columns = ("pk", "round", "item", "state", "item__label", "item__label_source", "round__kind")
    for *place, kind in rows.order_by("round").values_list(*columns).iterator(chunk_size=5_000):
        found = Place(*place)
        if kind == RoundKind.ADJUDICATE or found.state in ENDED:
            last[found.item] = found, kind
    imported = set(Round.objects.filter(dataset=dataset, purpose=IMPORTED).values_list("pk"))
    return [
        place
        for place, kind in last.values()
        if kind in SETTLED_BY_CROWD
        and place.source != LabelSource.REVIEW
        # Answers that are imported later than a label do not replace it.
        and not ((place.round,) in imported and place.source == LabelSource.IMPORT)
    ]


def counted(dataset: Dataset) -> QuerySet[Annotation]:
    """Return the answers that rounds of the crowd count, oldest first."""
    asked = Round.objects.filter(dataset=dataset, kind__in=SETTLED_BY_CROWD, counts=True)
    rows = Annotation.objects.filter(round__in=asked)
    rows = rows.filter(withdrawn_at__isnull=True, is_surplus=False, is_gold=False)
    return rows.exclude(answer=Answer.SKIP).order_by("pk")


def answers_of(dataset: Dataset, *, items: Iterable[int]) -> dict[tuple[int, int], set[int]]:
    """Return the counted answers (ids) by round and item, of these items (by id)."""
    found: dict[tuple[int, int], set[int]] = defaultdict(set)
    rows = counted(dataset).filter(item__in=list(items))
    for pk, asking, item in rows.values_list("pk", "round", "item"):
        found[asking, item].add(pk)
    return found


def last_changes(dataset: Dataset) -> dict[int, tuple[int, int | None, float, str]]:
    """Return id, label, confidence and reason of the last change of each item that the crowd
    named."""
    rows = LabelChange.objects.filter(
        item__dataset=dataset, item__label_source=LabelSource.CONSENSUS
    )
    columns = ("item", "pk", "after", "confidence", "reason")
    found = rows.order_by("pk").values_list(*columns).iterator(chunk_size=5_000)
    return {item: (pk, after, sure or 0.0, why) for item, pk, after, sure, why in found}
