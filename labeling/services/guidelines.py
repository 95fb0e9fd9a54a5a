"""Guidelines: examples gathered, text and examples published as the next version."""

from django.db import transaction

from labeling.models import (
    Annotator,
    Dataset,
    Example,
    Guideline,
    Item,
    LabelClass,
    Round,
    User,
)


@transaction.atomic
def publish_guideline(
    *, dataset: Dataset, text: str, by: User | None = None, change: str = ""
) -> Guideline:
    """Make the next version of the guideline, which open rounds follow from now on.

    The examples are frozen with it. Unchanged text and examples give the newest again.
    """
    newest = dataset.guidelines.first()
    examples = _frozen(dataset)
    if newest and newest.text == text and newest.examples == examples:
        return newest
    made = Guideline.objects.create(
        dataset=dataset,
        number=newest.number + 1 if newest else 1,
        text=text,
        change=change,
        examples=examples,
        created_by=by,
    )
    following = Round.objects.filter(
        dataset=dataset, closed_at__isnull=True, guideline=newest, wording={}
    )
    following.update(guideline=made)
    return made


def _frozen(dataset: Dataset) -> list[dict[str, object]]:
    rows = dataset.examples.select_related("label", "item__content")
    return [
        {
            "item": row.item_id,
            "mark": str(row.item.content_id)[:12],
            "class": row.label.name,
            "is_right": row.is_right,
            "note": row.note,
        }
        for row in rows
    ]


@transaction.atomic
def use_as_example(
    *, item: Item, label: LabelClass, is_right: bool, note: str = "", by: User | None = None
) -> Example:
    """Show an item in the next guideline as right or wrong for a class."""
    values = {"dataset": item.dataset, "is_right": is_right, "note": note, "created_by": by}
    return Example.objects.update_or_create(item=item, label=label, defaults=values)[0]


def drop_example(*, example: Example) -> None:
    """Leave an item out of the next guideline; published ones keep it."""
    example.delete()


def mark_seen(*, annotator: Annotator, guideline: Guideline) -> None:
    """Remember that this annotator was shown a version; older ones never overwrite it."""
    newer = Annotator.objects.filter(pk=annotator.pk, guideline_seen__number__gte=guideline.number)
    if not newer.exists():
        Annotator.objects.filter(pk=annotator.pk).update(guideline_seen=guideline)
