"""Counts of flags say what the queues show."""

from collections import Counter
from itertools import product

import pytest

from labeling.models import Item, Role
from quality.models import UNFLAGGED, Decision, Flag, FlagItem
from quality.queries.flags import (
    LOOKED_BACK,
    Believed,
    open_flags,
    paces_of,
    review_queue,
    reviewed,
    tally_of,
    worst_of,
)
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


def test_a_tally_counts_the_flags_that_queues_show_and_those_that_touch_test():
    dataset = make_dataset()
    states = [{"excluded": "gone"}, {"split": "test"}, {"split": "train"}, {"label": "dog"}, {}]
    items = [make_item(dataset, **{"label": "cat"} | state) for state in states]
    Item.objects.filter(pk=items[4].pk).update(label=None, label_source="")
    about = [
        [items[0]],
        [items[1]],
        [items[2]],
        [items[3]],
        [items[4]],
        [items[0], items[1]],
        items[1:3],
    ]
    for number, (role, given, some) in enumerate(
        product(("item", "part"), ("", "cat"), [*about, []])
    ):
        flag = Flag.objects.create(
            dataset=dataset, kind=("label_error", "leakage", UNFLAGGED)[number % 3], given=given,
            subject=str(number), score=number % 7 / 7, is_likely=number % 5 > 0,
        )  # fmt: skip
        for item in some:
            FlagItem.objects.create(flag=flag, item=item, role=role)
    for kind in ("", "label_error", UNFLAGGED):
        shown = open_flags(dataset, kind)
        tally = tally_of(dataset, kind)
        what = Counter(
            Believed(flag.kind, flag.given, flag.is_likely, flag.expected) for flag in shown
        )
        assert tally.open == what
        touching = Counter(flag.kind for flag in shown if flag.items.filter(split="test").exists())
        assert tally.in_test == touching
    tally, kinds = tally_of(dataset), ("label_error", "leakage")
    for count in (1, 3, 50):
        queues = {kind: list(review_queue(dataset, kind)[:count]) for kind in kinds}
        assert worst_of(dataset, kinds, tally=tally, count=count) == queues
    assert tally_of(dataset).most_doubted("label_error") == "cat"
    assert tally_of(dataset).most_doubted("outlier") == ""


def test_the_pace_of_a_kind_is_known_however_long_ago_it_was_reviewed_last():
    dataset = make_dataset()
    person = make_member(dataset, Role.REVIEWER)
    rare, often = (
        Flag.objects.create(dataset=dataset, kind=kind, subject="", score=0.5)
        for kind in ("leakage", "label_error")
    )
    about = [rare] * 3 + [often] * LOOKED_BACK
    Decision.objects.bulk_create(
        Decision(
            dataset=dataset, flag=flag, by=person, action="keep", before=[], after=[],
            seconds=9.0 if flag == rare else 2.0,
        )
        for flag in about
    )  # fmt: skip
    paces = paces_of(reviewed(dataset), ["leakage", "label_error", "outlier"])
    assert paces.by_kind == {"leakage": 9.0, "label_error": 2.0}
    assert paces.seconds(3, "outlier") == 6.0
