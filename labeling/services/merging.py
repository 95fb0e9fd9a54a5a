"""Two classes become one: labels move, what names the class follows, annotations stay as said.

What `merge` did is returned as plain values, so that `split` can take it back; answers that name
the merged class count for the other one from then on (`LabelClass.meant`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.models import Dataset, Example, GoldItem, Item, LabelClass, User
from labeling.services import labels
from labeling.services.datasets import choose_success, retire_class
from labeling.services.guidelines import publish_guideline


@transaction.atomic
def merge(
    *, old: LabelClass, new: LabelClass, items: Sequence[Item], text: str, by: User | None
) -> dict[str, Any]:
    """Give items of one class the other's label, each from its source, and retire the class."""
    dataset = old.dataset
    words = _("“%(old)s” is part of “%(new)s” now") % {"old": old.name, "new": new.name}
    labels.restore_labels(
        labels={item.pk: (new.pk, item.label_source) for item in items},
        by=by,
        reason=f"classes merged: {old.name} into {new.name}",
    )
    told: dict[str, Any] = {"old": old.pk, "new": new.pk, "key": old.key}
    told |= {"gold": _retire_gold(old), "examples": _move_examples(old, new)}
    told |= _success_of_one(dataset, old, new)
    followed = old.merged_from.all()
    told["followed"] = list(followed.values_list("pk", flat=True))
    followed.update(merged_into=new)
    retire_class(label_class=old, retired=True)
    old.merged_into = new
    old.save(update_fields=["merged_into"])
    newest = dataset.guidelines.first()
    made = publish_guideline(dataset=dataset, text=text, by=by, change=words[:200])
    if newest != made:
        told |= {"guideline": made.pk, "text": newest.text if newest else ""}
    return told


def _retire_gold(old: LabelClass) -> list[int]:
    """Retire its check items: who answered by the other class was not wrong."""
    rows = GoldItem.objects.filter(label=old, retired_at__isnull=True)
    ids = list(rows.values_list("pk", flat=True))
    rows.update(retired_at=timezone.now())
    return ids


def _move_examples(old: LabelClass, new: LabelClass) -> list[int]:
    there = Example.objects.filter(label=new).values("item")
    rows = Example.objects.filter(label=old).exclude(item__in=there)
    ids = list(rows.values_list("pk", flat=True))
    Example.objects.filter(pk__in=ids).update(label=new)
    return ids


def _success_of_one(dataset: Dataset, old: LabelClass, new: LabelClass) -> dict[str, Any]:
    """Let the task card's measure name the other class; returns both states where it changed."""
    before = dict(dataset.success)
    gone, kept = str(old.pk), str(new.pk)
    after = dict(before)
    if str(before.get("positive", "")) == gone:
        after["positive"] = new.pk
    if gone in before.get("shares", {}):
        shares = dict(before["shares"])
        shares[kept] = shares.get(kept, 0.0) + shares.pop(gone)
        after["shares"] = shares
    if before.get("costs"):
        after["costs"] = {
            given: {said: cost for said, cost in row.items() if said != gone}
            for given, row in before["costs"].items()
            if given != gone
        }
    if after == before:
        return {}
    choose_success(dataset=dataset, chosen=after)
    return {"success": [before, after]}


@transaction.atomic
def split(*, dataset: Dataset, told: Mapping[str, Any], by: User | None) -> None:
    """Bring the merged class back with what it had; what was changed since stays as it is."""
    old = dataset.classes.get(pk=told["old"])
    retire_class(label_class=old, retired=False)
    if told["key"] and not dataset.classes.filter(key=told["key"]).exists():
        old.key = told["key"]
        old.save(update_fields=["key"])
    dataset.classes.filter(pk__in=told["followed"], merged_into=told["new"]).update(merged_into=old)
    _use_gold_again(told["gold"])
    Example.objects.filter(pk__in=told["examples"], label=told["new"]).update(label=old)
    before, after = told.get("success", (None, None))
    if before is not None and Dataset.objects.get(pk=dataset.pk).success == after:
        choose_success(dataset=dataset, chosen=before)
    newest = dataset.guidelines.first()
    if newest and newest.pk == told.get("guideline"):
        publish_guideline(dataset=dataset, text=told["text"], by=by, change=_("as before"))


def _use_gold_again(ids: Sequence[int]) -> None:
    """Use check items again, but for those whose item has another known answer by now."""
    there = GoldItem.objects.filter(retired_at__isnull=True).values("item")
    rows = GoldItem.objects.filter(pk__in=ids).exclude(item__in=there)
    GoldItem.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(retired_at=None)
