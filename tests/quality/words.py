"""A small text dataset that a head on n-grams learns well, for tests about training."""

import io
import json
import random
from typing import Any

from django.core.management import call_command

from labeling import storage
from labeling.models import Content, Dataset, Item, LabelClass
from tests.factories import make_dataset

SPOKEN = {
    "money": ("coin", "bank", "price", "loan", "cash", "credit"),
    "sea": ("wave", "sail", "fish", "harbour", "tide", "anchor"),
    "sky": ("cloud", "star", "wind", "moon", "rain", "bird"),
}
FILLER = ("the", "a", "with", "near", "some", "every", "old", "new")


def make_words(
    slug: str = "", *, items: int = 60, test_items: int = 0, seed: int = 0, unlabelled: int = 0
) -> Dataset:
    """`items` texts to learn from and `test_items` sealed ones, four of each source together."""
    dataset = make_dataset(slug, media="text", classes=tuple(SPOKEN))
    rng = random.Random(f"{dataset.slug if slug else ''}{seed}")
    for number in range(items + test_items + unlabelled):
        name = list(SPOKEN)[number % len(SPOKEN)]
        is_test = items <= number < items + test_items
        add_text(
            dataset,
            f"{number:04d}",
            text=sentence(name, rng) + f" {number}",
            label=name if number < items + test_items else None,
            split="test" if is_test else "train",
            source_group=f"{'t' if is_test else 's'}{number // 4}",
        )
    return dataset


def sentence(name: str, rng: random.Random) -> str:
    """Words of one class, two of the others' and filler, so that it is not too easy."""
    other = rng.choice([key for key in SPOKEN if key != name])
    words = [*rng.sample(SPOKEN[name], 2), rng.choice(SPOKEN[other]), *rng.sample(FILLER, 3)]
    rng.shuffle(words)
    return " ".join(words)


def add_text(dataset: Dataset, key: str, *, text: str, label: str | None, **fields: object) -> Item:
    sha256 = storage.write_bytes(text.encode())
    content, _ = Content.objects.get_or_create(
        sha256=sha256,
        defaults={"type": "text", "mime": "text/plain", "size": len(text), "text": text},
    )
    chosen = LabelClass.objects.get(dataset=dataset, name=label) if label else None
    return Item.objects.create(
        dataset=dataset,
        key=key,
        content=content,
        label=chosen,
        label_source="import" if chosen else "",
        **fields,
    )


def train(dataset: Dataset, **options: object) -> dict[str, Any]:
    """Train by the command, and return what it told."""
    out = io.StringIO()
    call_command("train", dataset.slug, "--json", stdout=out, **options)
    told: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return told
