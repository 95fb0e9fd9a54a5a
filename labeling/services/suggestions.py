"""What a model would say of items, pushed here for the rounds that show it."""

from collections.abc import Mapping

from django.db import transaction

from labeling.models import Dataset, Suggestion

ROWS_A_TRANSACTION = 200


def set_suggestions(*, dataset: Dataset, suggestions: Mapping[str, tuple[str, float]]) -> int:
    """Keep the class (by name) and its probability for items (by key), in place of earlier ones.

    Items and classes that are gone by now are left out; returns how many were kept.
    """
    classes = dict(dataset.classes.values_list("name", "pk"))
    items = dict(dataset.items.values_list("key", "pk"))
    rows = [
        Suggestion(item_id=items[key], label_id=classes[name], probability=probability)
        for key, (name, probability) in suggestions.items()
        if key in items and name in classes
    ]
    there = Suggestion.objects.filter(item__dataset=dataset)
    stale = set(there.values_list("pk", flat=True)) - {row.item_id for row in rows}
    _forget(sorted(stale))
    _keep(rows)
    return len(rows)


def _forget(items: list[int]) -> None:
    for start in range(0, len(items), ROWS_A_TRANSACTION):
        Suggestion.objects.filter(pk__in=items[start : start + ROWS_A_TRANSACTION]).delete()


def _keep(rows: list[Suggestion]) -> None:
    """Write in short transactions: people answer meanwhile."""
    for start in range(0, len(rows), ROWS_A_TRANSACTION):
        with transaction.atomic():
            Suggestion.objects.bulk_create(
                rows[start : start + ROWS_A_TRANSACTION],
                update_conflicts=True,
                unique_fields=["item"],
                update_fields=["label", "probability"],
            )
