"""Reads about guidelines: their examples as pages show them, what is not published yet."""

from dataclasses import dataclass, field

from django.urls import reverse

from labeling.models import Dataset, Example, Guideline, Item


@dataclass(frozen=True)
class Shown:
    """An example as it stands beside an item."""

    name: str
    is_right: bool
    note: str
    media_url: str
    preview_url: str
    text: str
    seconds: float | None


@dataclass
class OfClass:
    """The examples of one class, right ones first."""

    name: str
    examples: list[Shown] = field(default_factory=list)


def examples_of(guideline: Guideline | None) -> list[OfClass]:
    """Return a published version's examples by class; items that are gone are left out."""
    if guideline is None or not guideline.examples:
        return []
    slug = guideline.dataset.slug
    rows = Item.objects.filter(pk__in=[row["item"] for row in guideline.examples])
    there = {item.pk: item for item in rows.select_related("content")}
    found: dict[str, OfClass] = {}
    for row in guideline.examples:
        item = there.get(row["item"])
        if item:
            of_class = found.setdefault(row["class"], OfClass(row["class"]))
            of_class.examples.append(_shown(item, slug, row["class"], row["is_right"], row["note"]))
    return list(found.values())


def _shown(item: Item, slug: str, name: str, is_right: bool, note: str) -> Shown:
    mark = f"?v={item.content_mark}"
    return Shown(
        name=name,
        is_right=is_right,
        note=note,
        media_url=reverse("labeling:media", args=[slug, item.pk, "display"]) + mark,
        preview_url=reverse("labeling:media", args=[slug, item.pk, "preview"]) + mark,
        text=item.content.text,
        seconds=item.content.facts.get("seconds"),
    )


def example_items(dataset: Dataset) -> set[int]:
    """Return the items (by id) whose answer a guideline tells: the newest, or the next one."""
    newest = dataset.guidelines.first()
    published = {row["item"] for row in newest.examples} if newest else set()
    return published | set(dataset.examples.values_list("item", flat=True))


@dataclass(frozen=True)
class Gathered:
    """An example that the next version will show."""

    example: Example
    shown: Shown


def gathered_examples(dataset: Dataset) -> list[Gathered]:
    """Return what the next published version shows."""
    rows = dataset.examples.select_related("label", "item__content")
    return [
        Gathered(row, _shown(row.item, dataset.slug, row.label.name, row.is_right, row.note))
        for row in rows
    ]


def is_unpublished(dataset: Dataset, newest: Guideline | None) -> bool:
    """Return whether the gathered examples differ from those of the newest version."""
    published = newest.examples if newest else []
    rows = dataset.examples.values_list("item_id", "label__name", "is_right", "note")
    keys = ("item", "class", "is_right", "note")
    return list(rows) != [tuple(row[key] for key in keys) for row in published]
