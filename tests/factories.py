"""Small real rows for tests."""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from labeling.models import Content, Dataset, Item, LabelClass, Membership, Role, Round, User
from labeling.services.rounds import make_round
from quality.models import Flag, FlagItem

_numbers = itertools.count(1)


def make_user(name: str = "", *, is_staff: bool = False) -> User:
    return User.objects.create_user(
        name or f"user{next(_numbers)}", password="correct horse", is_staff=is_staff
    )


def make_dataset(
    slug: str = "",
    *,
    media: str = "image",
    classes: tuple[str, ...] = ("cat", "dog"),
    **fields: object,
) -> Dataset:
    slug = slug or f"set{next(_numbers)}"
    dataset = Dataset.objects.create(slug=slug, name=slug, media=media, **fields)
    for position, name in enumerate(classes):
        key = f"Digit{position + 1}" if position < 9 else ""
        LabelClass.objects.create(dataset=dataset, name=name, key=key, position=position)
    return dataset


def make_member(dataset: Dataset, role: str = Role.OWNER, name: str = "") -> User:
    user = make_user(name)
    Membership.objects.create(dataset=dataset, user=user, role=role)
    return user


def make_item(dataset: Dataset, key: str = "", label: str | None = None, **fields: object) -> Item:
    """An item whose content exists as a row only; use intake for real bytes."""
    key = key or f"item{next(_numbers)}"
    sha256 = hashlib.sha256(f"{dataset.slug}/{key}".encode()).hexdigest()
    content = Content(sha256=sha256, type="png", mime="image/png", size=1)
    Content.objects.bulk_create([content], ignore_conflicts=True)
    chosen = LabelClass.objects.get(dataset=dataset, name=label) if label else None
    return Item.objects.create(
        dataset=dataset,
        key=key,
        content=content,
        label=chosen,
        label_source="import" if chosen else "",
        **fields,
    )


def make_asking(dataset: Dataset, items: Iterable[Item | int], **fields: Any) -> Round:
    """A round about items, or their ids: one class each, unless told otherwise."""
    asked = [item if isinstance(item, int) else item.pk for item in items]
    fields = {"name": "r", "kind": "classify", "answers_wanted": 1} | fields
    return make_round(dataset=dataset, items=asked, **fields)


def make_flag(
    *items: Item, kind: str = "label_error", roles: Sequence[str] = (), **fields: object
) -> Flag:
    """An open flag about items; that a label is wrong says dog instead of cat."""
    values: dict[str, object] = {"subject": items[0].key, "score": 0.9, "reason": "looks wrong"}
    if kind == "label_error":
        values |= {"given": "cat", "suggested": "dog"}
    flag = Flag.objects.create(dataset=items[0].dataset, kind=kind, **values | fields)
    roles = roles or ["item"] * len(items)
    FlagItem.objects.bulk_create(
        FlagItem(flag=flag, item=item, role=role) for item, role in zip(items, roles, strict=True)
    )
    return flag
