"""Small real rows for tests."""

import hashlib
import itertools

from labeling.models import Content, Dataset, Item, LabelClass, Membership, Role, User

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
