"""Rows that are saved column by column are what Django itself would have saved."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict

from labeling.models import Content, Item, LabelSource, Split
from labeling.services.rows import ROWS_A_STATEMENT, insert_rows
from tests.factories import make_dataset

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

FACTS: dict[str, Any] = {"width": 7, "share": 0.25, "camera": 'Größe "1"', "peaks": [0.5, 1.0]}


def contents(count: int, first: int = 0) -> list[Content]:
    return [
        Content(sha256=f"{n:064x}", type="png", mime="image/png", size=n, facts=FACTS)
        for n in range(first, first + count)
    ]


def test_rows_are_the_same_as_those_of_bulk_create_and_have_their_ids():
    dataset = make_dataset()
    label = dataset.classes.first()
    insert_rows(contents(ROWS_A_STATEMENT + 7))

    def items(prefix: str) -> list[Item]:
        return [
            Item(
                dataset=dataset,
                key=f"{prefix}{content.size:03d}",
                content=content,
                split=Split.TEST,
                captured_at=datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
                metadata={"size": content.size},
                odd=[["tiny", "Only 7 x 7 pixels."]] if content.size % 2 else [],
                label=label,
                label_source=LabelSource.IMPORT,
            )
            for content in Content.objects.order_by("size")
        ]

    ours, theirs = items("a"), items("b")
    insert_rows(ours)
    Item.objects.bulk_create(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        saved, wanted = Item.objects.get(pk=mine.pk), Item.objects.get(pk=other.pk)
        assert saved.key[1:] == wanted.key[1:]
        skipped = ["id", "key"]
        assert model_to_dict(saved, exclude=skipped) == model_to_dict(wanted, exclude=skipped)
        assert saved.is_odd == wanted.is_odd
        assert abs((saved.created_at - wanted.created_at).total_seconds()) < 60


def test_rows_that_are_there_stay_and_only_a_caller_who_says_so_may_meet_them():
    insert_rows(contents(3))
    Content.objects.update(type="gif")
    insert_rows(contents(3, first=1), ignore_conflicts=True)
    assert [c.type for c in Content.objects.order_by("size")] == ["gif", "gif", "gif", "png"]
    assert Content.objects.get(size=3).facts == FACTS
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(contents(2, first=3))
    assert Content.objects.count() == 4
    insert_rows([])
