"""Reads that only the API needs."""

from django.db.models import Prefetch

from labeling.models import Dataset
from quality.models import Flag, FlagItem


def flags_after(
    dataset: Dataset, *, after: int, limit: int, kind: str | None, state: str | None
) -> list[Flag]:
    """Flags by id after the given one, one more than `limit` so that the end is known."""
    parts = FlagItem.objects.select_related("item__label").order_by("item__key")
    rows = Flag.objects.filter(dataset=dataset, pk__gt=after)
    if kind is not None:
        rows = rows.filter(kind=kind)
    if state is not None:
        rows = rows.filter(state=state)
    return list(rows.prefetch_related(Prefetch("flag_items", parts)).order_by("pk")[: limit + 1])
