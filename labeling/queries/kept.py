"""Figures that are worked out once, until what they rest on is written again."""

from collections.abc import Callable, Collection
from typing import TypeVar

from django.core.cache import cache
from django.db.models import Sum

from labeling.models import Dataset, Write
from labeling.models.writes import ANY_DATASET

KEPT_SECONDS = 24 * 3600  # whatever is written makes another key: this only bounds the memory

Figure = TypeVar("Figure")


def kept(
    dataset: Dataset,
    name: str,
    *,
    of: Collection[str],
    make: Callable[[], Figure],
) -> Figure:
    """Return what `make` works out, which rests on these areas of writes alone.

    `name` tells what else it rests on. The stamp is read first: who writes meanwhile makes
    another one, and what was read under the old one is asked for by nobody who comes later.
    """
    key = f"kept-{dataset.pk}-{name}-{stamp(dataset, of)}"
    found: tuple[Figure] | None = cache.get(key)
    if found is None:
        found = (make(),)
        cache.set(key, found, KEPT_SECONDS)
    return found[0]


def stamp(dataset: Dataset, of: Collection[str]) -> int:
    """Return a number that grows with whatever is written to these areas of a dataset."""
    rows = Write.objects.filter(of__in=(ANY_DATASET, dataset.pk), area__in=of)
    return int(rows.aggregate(n=Sum("n"))["n"] or 0)
