"""Reads that only the API needs."""

from labeling.models import Dataset, Item


def class_names(dataset: Dataset) -> list[str]:
    """Return the names of a dataset's classes, in their order."""
    return list(dataset.classes.values_list("name", flat=True))


def items_after(
    dataset: Dataset, *, after: int, limit: int, split: str | None, label: str | None
) -> list[Item]:
    """Items by id after the given one, one more than `limit` so that the end is known."""
    rows = Item.objects.filter(dataset=dataset, pk__gt=after).select_related("label", "content")
    if split is not None:
        rows = rows.filter(split=split)
    if label == "":
        rows = rows.filter(label__isnull=True)
    elif label is not None:
        rows = rows.filter(label__name=label)
    return list(rows.order_by("pk")[: limit + 1])
