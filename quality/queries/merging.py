"""Reads for merging classes: what names each class, and what was merged."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from labeling.models import Dataset, GoldItem, Split
from quality.models import Action, Decision


@dataclass(frozen=True)
class Named:
    """A class in use, and what goes with it when it is merged."""

    name: str
    items: int
    in_test: int
    gold: int


def named_by(dataset: Dataset) -> list[Named]:
    """Count what each class in use has: three queries.

    Items are counted from an index alone; joined with their classes, each of them is read.
    """
    items, in_test = Counter[int](), Counter[int]()
    counted = dataset.items.order_by().values_list("excluded", "label", "split")  # as it has them
    for _reason, label, split, n in counted.annotate(n=Count("pk")):
        items[label] += n
        in_test[label] += n if split == Split.TEST else 0
    there = GoldItem.objects.filter(item__dataset=dataset, retired_at__isnull=True).order_by()
    gold = dict(there.values_list("label").annotate(n=Count("pk")))
    rows = dataset.classes.filter(retired_at__isnull=True)
    return [Named(row.name, items[row.pk], in_test[row.pk], gold.get(row.pk, 0)) for row in rows]


def proposed(dataset: Dataset, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form shows first: the classes that the address names, the guideline."""
    ids = dict(dataset.classes.values_list("name", "pk"))
    newest = dataset.guidelines.first()
    chosen = {name: ids.get(asked.get(name, "")) for name in ("old", "new")}
    return chosen | {"text": newest.text if newest else ""}


def merged(dataset: Dataset) -> list[Decision]:
    """Return the merges that stand, newest first."""
    rows = Decision.objects.filter(dataset=dataset, action=Action.CLASSES, undone_by=None)
    return list(rows.select_related("by").order_by("-pk"))


def merge_in(dataset: Dataset, pk: int) -> Decision | None:
    """Return one merge."""
    rows = Decision.objects.filter(dataset=dataset, action=Action.CLASSES, pk=pk)
    return rows.select_related("dataset").first()


def became(dataset: Dataset, *, known: Collection[str]) -> dict[str, str]:
    """Return what each merged class became in the end; names in `known` still stand."""
    rows = dataset.classes.filter(merged_into__isnull=False).exclude(name__in=known)
    steps = dict(rows.values_list("name", "merged_into__name"))
    ends = {}
    for name in steps:
        end = name
        while end in steps:
            end = steps[end]
        ends[name] = end
    return ends
