"""Datasets made and described: question, classes with keys and roles, task card."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.text import slugify

from labeling.models import (
    CLASS_KEYS,
    ClassRole,
    Dataset,
    LabelClass,
    Membership,
    Role,
    User,
)

MOST_NAME_CHARACTERS = 100
DIGITS = frozenset("0123456789")
BACKGROUND_NAMES = frozenset({"background", "background noise", "silence"})
OTHER_NAMES = frozenset({"other", "others", "unknown", "misc"})


class NameTakenError(Exception):
    """Another dataset or class has this name already; the words go to the person."""


@transaction.atomic
def create_dataset(
    *,
    name: str,
    media: str,
    by: User | None = None,
    slug: str = "",
    question: str = "",
    classes: Sequence[str] = (),
    task_card: Mapping[str, str] | None = None,
    answers_wanted: int = 1,
) -> Dataset:
    """Make a dataset with its classes; whoever makes it owns it (nobody: only staff sees it)."""
    slug = slug or free_slug(name)
    try:
        with transaction.atomic():
            dataset = Dataset.objects.create(
                slug=slug,
                name=name,
                media=media,
                question=question or Dataset._meta.get_field("question").default,
                task_card=dict(task_card or {}),
                answers_wanted=answers_wanted,
                created_by=by,
            )
    except IntegrityError:
        raise NameTakenError(f"There is a dataset named {slug!r} already.") from None
    if by is not None:
        Membership.objects.create(dataset=dataset, user=by, role=Role.OWNER)
    add_classes(dataset=dataset, names=classes)
    return dataset


def free_slug(name: str) -> str:
    """Return an address for a dataset of this name that no other one has."""
    wanted = slugify(name.replace("ß", "ss"))[:70] or "dataset"
    taken = set(Dataset.objects.filter(slug__startswith=wanted).values_list("slug", flat=True))
    numbered = (f"{wanted}-{n}" for n in range(2, len(taken) + 3))
    return next(slug for slug in (wanted, *numbered) if slug not in taken)


def usual_role(name: str) -> str:
    """Return the role that a class of this name usually has."""
    plain = name.casefold().replace("_", " ").replace("-", " ").strip()
    if plain in BACKGROUND_NAMES:
        return ClassRole.BACKGROUND
    return ClassRole.OTHER if plain in OTHER_NAMES else ClassRole.ORDINARY


@transaction.atomic
def add_classes(*, dataset: Dataset, names: Iterable[str]) -> list[LabelClass]:
    """Add the classes that are not there yet, each with the next free key.

    A class that is named after a digit has that digit.
    """
    there = list(dataset.classes.all())
    taken = {c.name for c in there}
    used = {c.key for c in there if not c.retired_at}
    wanted = dict.fromkeys(n.strip()[:MOST_NAME_CHARACTERS] for n in names)
    own = {f"Digit{name}" for name in wanted if name in DIGITS}
    keys = (key for key in CLASS_KEYS if key not in used | own)
    position = (dataset.classes.aggregate(most=Max("position"))["most"] or 0) + bool(there)
    added: list[LabelClass] = []
    for name in wanted:
        if not name or name in taken:
            continue
        added.append(
            LabelClass(
                dataset=dataset,
                name=name,
                key=_own_key(name, used) or next(keys, ""),
                role=usual_role(name),
                position=position + len(added),
            )
        )
    return LabelClass.objects.bulk_create(added)


def _own_key(name: str, used: set[str]) -> str:
    """Return the digit that a class is named after: “3” on any other key would be a trap."""
    key = f"Digit{name}"
    return key if name in DIGITS and key not in used else ""


@transaction.atomic
def describe_dataset(
    *,
    dataset: Dataset,
    name: str,
    question: str,
    task_card: Mapping[str, str],
    answers_wanted: int,
) -> Dataset:
    """Change what a dataset says about itself; its address stays."""
    dataset.name, dataset.question = name, question
    dataset.task_card, dataset.answers_wanted = dict(task_card), answers_wanted
    dataset.save(update_fields=["name", "question", "task_card", "answers_wanted"])
    return dataset


def choose_success(*, dataset: Dataset, chosen: Mapping[str, Any]) -> Dataset:
    """Say how success is measured from now on; empty is accuracy, as items are."""
    dataset.success = dict(chosen)
    dataset.save(update_fields=["success"])
    return dataset


def set_retraining(*, dataset: Dataset, retrain: str, retrain_after: int) -> Dataset:
    """Choose when a dataset is trained again by itself."""
    dataset.retrain, dataset.retrain_after = retrain, retrain_after
    dataset.save(update_fields=["retrain", "retrain_after"])
    return dataset


def set_reviewing(
    *,
    dataset: Dataset,
    has_second_reviewer: bool,
    draws_unflagged: bool,
    hour_price: Decimal | None,
) -> Dataset:
    """Choose what waits for a second reviewer, what else is shown, and what an hour costs."""
    dataset.has_second_reviewer = has_second_reviewer
    dataset.draws_unflagged = draws_unflagged
    dataset.hour_price = hour_price
    dataset.save(update_fields=["has_second_reviewer", "draws_unflagged", "hour_price"])
    return dataset


@transaction.atomic
def change_classes(*, dataset: Dataset, changes: Mapping[int, Mapping[str, str]]) -> int:
    """Give classes (by id) other names, keys or roles, all at once; returns how many changed.

    Keys may be swapped: they are taken away from all changed classes first.
    """
    classes = {c.pk: c for c in dataset.classes.filter(pk__in=changes)}
    changed = [
        label
        for pk, label in classes.items()
        if any(getattr(label, field) != value for field, value in changes[pk].items())
    ]
    LabelClass.objects.filter(pk__in=[c.pk for c in changed]).update(key="")
    for label in changed:
        for field in ("name", "key", "role"):
            setattr(label, field, changes[label.pk].get(field, getattr(label, field)))
        try:
            with transaction.atomic():
                label.save(update_fields=["name", "key", "role"])
        except IntegrityError:
            raise NameTakenError(
                f"Another class is named {label.name!r} or has the key {label.key_cap!r} already."
            ) from None
    return len(changed)


class HasItemsError(Exception):
    """Items are there already; they would be of the wrong kind."""


@transaction.atomic
def change_media(*, dataset: Dataset, media: str) -> None:
    """Let a dataset without items hold another medium."""
    if dataset.items.exists():
        raise HasItemsError("This dataset has items already; make another one for these files.")
    dataset.media = media
    dataset.save(update_fields=["media"])


def retire_class(*, label_class: LabelClass, retired: bool) -> None:
    """Take a class out of use (its labels and versions stay) or back into use, without a key."""
    label_class.retired_at = timezone.now() if retired else None
    label_class.key = ""
    label_class.merged_into = None
    label_class.save(update_fields=["retired_at", "key", "merged_into"])


@transaction.atomic
def archive_dataset(*, dataset: Dataset, now: datetime) -> None:
    """Take a dataset out of the list and stop its rounds; everything stays as it is."""
    if Dataset.objects.filter(pk=dataset.pk, archived_at__isnull=True).update(archived_at=now):
        dataset.rounds.filter(closed_at__isnull=True).update(closed_at=now)


@transaction.atomic
def bring_back_dataset(*, dataset: Dataset) -> None:
    """List an archived dataset again; the rounds that were stopped with it go on."""
    archived_at = Dataset.objects.select_for_update().get(pk=dataset.pk).archived_at
    if archived_at is None:
        return  # another owner was faster
    dataset.rounds.filter(closed_at=archived_at).update(closed_at=None)
    Dataset.objects.filter(pk=dataset.pk).update(archived_at=None)
