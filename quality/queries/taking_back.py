"""What an import brought that somebody has worked on since: that stays when it is taken back."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.models import (
    Annotation,
    Example,
    GoldItem,
    Item,
    ItemTag,
    LabelChange,
    LabelSource,
    Outcome,
    RoundItem,
    Split,
    Upload,
    UploadEntry,
)
from labeling.services.versions import read_manifest
from quality.models import Decision

CHANGED = (Outcome.UPDATED, Outcome.REPLACED)
BY_PEOPLE = (LabelSource.CONSENSUS, LabelSource.REVIEW)
NAMED = 200  # items that stay, by their keys


@dataclass(frozen=True)
class Outlook:
    """What taking an import back would do."""

    leaving: int
    staying: list[str]
    n_staying: int
    changed: int


def outlook(upload: Upload) -> Outlook:
    """Count what would go, stay and change."""
    added = added_by(upload)
    keys = keys_held(upload)
    worked = set(worked_on(upload, added).values_list("key", flat=True))
    names = set(added.values_list("key", flat=True))
    staying = sorted(worked | (names & keys))
    changed = upload.entries.filter(outcome__in=CHANGED, item__isnull=False).count()
    return Outlook(len(names) - len(staying), staying[:NAMED], len(staying), changed)


def added_by(upload: Upload) -> QuerySet[Item]:
    """Return the items that an import made and that are still here."""
    made = upload.entries.filter(outcome=Outcome.IMPORTED, item__isnull=False)
    return Item.objects.filter(pk__in=made.values("item"))


def reason_of(upload: Upload) -> str:
    """Return what the history of labels says of those that an import gave."""
    return f"imported with {upload.name}"


def relabelled_by(upload: Upload) -> QuerySet[LabelChange, int]:
    """Return the items (ids) that were there and got another label by an import."""
    touched = Item.objects.filter(uploadentry__upload=upload)
    given = LabelChange.objects.filter(
        item__in=touched, at__gte=upload.created_at, reason=reason_of(upload)
    )
    return given.exclude(item__in=added_by(upload)).values_list("item", flat=True)


def test_items_measured(upload: Upload) -> int:
    """Count test items that an import changed, where a version may hold what it made of them."""
    if not upload.dataset.versions.filter(created_at__gte=upload.created_at).exists():
        return 0
    entries = upload.entries.filter(outcome__in=CHANGED, item__isnull=False)
    changed = Q(pk__in=entries.values("item")) | Q(pk__in=relabelled_by(upload))
    was_test = Q(pk__in=entries.filter(proposed__before__split=Split.TEST).values("item"))
    return Item.objects.filter(changed & Q(split=Split.TEST) | was_test).count()


def worked_on(upload: Upload, items: QuerySet[Item]) -> QuerySet[Item]:
    """Return those of the items on which people or another import worked."""
    of_item = {"item": OuterRef("pk")}
    others = UploadEntry.objects.filter(**of_item, outcome__in=CHANGED).exclude(upload=upload)
    return items.filter(
        Q(label_source__in=BY_PEOPLE)
        | ~Q(excluded="")
        | Exists(Annotation.objects.filter(**of_item))
        | Exists(RoundItem.objects.filter(**of_item))
        | Exists(GoldItem.objects.filter(**of_item))
        | Exists(Example.objects.filter(**of_item))
        | Exists(ItemTag.objects.filter(**of_item))
        | Exists(LabelChange.objects.filter(**of_item, source__in=BY_PEOPLE))
        | Exists(Decision.objects.filter(flag__flag_items__item=OuterRef("pk")))
        | Exists(others)
    )


def keys_held(upload: Upload) -> set[str]:
    """Return the keys that versions and decisions since the import name."""
    keys: set[str] = set()
    for version in upload.dataset.versions.filter(created_at__gte=upload.created_at):
        keys.update(line["key"] for line in read_manifest(version))
    decided = upload.dataset.decisions.filter(at__gte=upload.created_at)
    for rows in decided.values_list("before", flat=True).iterator(chunk_size=500):
        keys.update(row["key"] for row in rows)
    return keys
