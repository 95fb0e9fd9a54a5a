"""What splits share: a matrix whose every count opens its pairs."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Dataset, Item, Role, Split
from labeling.services.versions import freeze_version
from mlcore.duplicates import Pair
from mlcore.folds import join_groups
from quality import arrays, copy_pairs
from quality.models import FlagState, Run
from quality.queries.leaked import without_leaks
from quality.queries.overlap import overlap_of, sentences_of
from quality.queries.splits import PAIRS_A_PAGE, TITLES, shared_by_splits
from quality.services.flags import raise_flags
from tests.factories import make_dataset, make_flag, make_item, make_member
from tests.quality.test_flags import make_work
from tests.quality.words import add_text, make_words

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_leaky() -> tuple[Dataset, list[Item]]:
    """Two test items beside train: a mirrored copy, a source, and one captured too early."""
    dataset = make_dataset()
    rows = [
        ("a", "train", "ann", 1),
        ("b", "train", "bob", 9),
        ("c", "test", "ann", 20),
        ("d", "test", "", 3),
    ]
    items = [
        make_item(
            dataset, key, "cat", split=split, source_group=group,
            captured_at=START + timedelta(days=day),
        )
        for key, split, group, day in rows
    ]  # fmt: skip
    ids = [item.pk for item in items]
    pairs = [Pair(1, 3, 0.9, "mirror", ""), Pair(0, 2, 0.3, "embedding", "")]
    copy_pairs.save_pairs(dataset.pk, pairs, ids=ids)
    return dataset, items


def ask(client, dataset: Dataset, *address: str, **query: str) -> str:
    name = "quality:ties" if address else "quality:splits"
    response = client.get(reverse(name, args=[dataset.slug, *address]), query)
    assert response.status_code == 200
    return response.text


def test_every_kind_is_counted_by_the_split_and_that_of_its_counterpart():
    dataset, _items = make_leaky()
    shared = shared_by_splits(dataset)
    found = {
        (kind, split, other): n
        for kind in TITLES
        for split in Split
        for other in Split
        if (n := shared.count(kind, split, other))
    }
    assert found == {
        ("mirror", "test", "train"): 1,
        ("mirror", "train", "test"): 1,
        ("group", "test", "train"): 1,
        ("group", "train", "test"): 1,
        ("time", "test", "train"): 1,
    }


@pytest.mark.parametrize(
    ("kind", "item", "other"), [("mirror", "d", "b"), ("group", "c", "a"), ("time", "d", "b")]
)
def test_a_count_opens_its_pairs(client, kind, item, other):
    dataset, items = make_leaky()
    client.force_login(make_member(dataset, Role.REVIEWER))
    assert reverse("quality:ties", args=[dataset.slug, kind, "test", "train"]) in ask(
        client, dataset
    )
    page = ask(client, dataset, kind, "test", "train")
    shown = [one.key for one in items if f'data-item="{one.pk}"' in page]
    assert shown == sorted([item, other])


def test_pairs_are_paged_by_source_with_as_many_reads_for_many_as_for_few(
    client, django_assert_max_num_queries
):
    dataset = make_dataset()
    for number in range(PAIRS_A_PAGE + 3):
        for split in ("train", "test"):
            source = f"s{99 - number}"  # against the order of keys
            make_item(dataset, f"{split}{number:03}", "cat", split=split, source_group=source)
    client.force_login(make_member(dataset, Role.REVIEWER))
    address = ("group", "test", "train")
    with django_assert_max_num_queries(14):
        first = ask(client, dataset, *address)
    assert first.count("data-item=") == 2 * PAIRS_A_PAGE
    assert "?after=test003" in first
    rest = ask(client, dataset, *address, after="test003")
    assert rest.count("data-item=") == 2 * 3
    assert all(f'title="test{number:03}"' in rest for number in range(3))


def test_sources_in_every_split_are_one_sentence():
    dataset = make_dataset()
    for number in range(12):
        make_item(dataset, split=("train", "test")[number % 2], source_group=f"s{number // 4}")
    told = sentences_of(overlap_of(dataset))
    assert told == [
        "Every source (3) stands in train and in test: a score says how well the model knows "
        "these sources, not how well it does on new ones."
    ]


def test_what_moved_or_was_taken_out_or_called_different_is_no_longer_shared():
    dataset, items = make_leaky()
    Item.objects.filter(pk=items[0].pk).update(excluded="a reason")
    assert not shared_by_splits(dataset).torn
    flag = make_flag(items[1], items[3], kind="leakage", state=FlagState.DISMISSED)
    assert not shared_by_splits(dataset).counts
    flag.delete()
    Item.objects.filter(pk=items[3].pk).update(split="train")
    found = shared_by_splits(dataset)
    assert (found.count("mirror", "train", "train"), found.count("time", "test", "train")) == (2, 0)


def test_nothing_shared_and_nothing_checked_are_told_apart(client):
    dataset = make_dataset()
    make_item(dataset, "a", split="train")
    make_item(dataset, "b", split="test")
    client.force_login(make_member(dataset, Role.REVIEWER))
    assert "copies only after a check" in ask(client, dataset)
    copy_pairs.save_pairs(dataset.pk, [], ids=[])
    assert "Nothing found in two splits" in ask(client, dataset)


def test_a_check_fills_the_matrix():
    dataset = make_words(items=12)
    add_text(dataset, "x", text="Rain came over the bay today!", label="sea", split="train")
    add_text(dataset, "y", text="rain came over the bay today", label="sea", split="test")
    raise_flags(make_work(dataset, kinds=["leakage"]))
    assert shared_by_splits(dataset).count("letters", "test", "train") == 1


def test_splits_and_the_page_of_a_run_count_leaked_items_alike():
    """A copy, one through a third item, and one of a source; not what is a copy of that one."""
    dataset = make_dataset()
    placed = (
        ("a", "train", ""), ("b", "test", ""), ("c", "test", ""),
        ("d", "train", "s"), ("e", "test", "s"), ("f", "test", ""), ("g", "test", ""),
    )  # fmt: skip
    items = [make_item(dataset, k, "cat", split=s, source_group=g) for k, s, g in placed]
    near = ((0, 1), (1, 2), (4, 5))
    pairs = [Pair(*pair, 0.9, "hash", "") for pair in near]
    copy_pairs.save_pairs(dataset.pk, pairs, ids=[item.pk for item in items])
    told = sentences_of(overlap_of(dataset))
    assert "3 of 5 test items share a copy or a source with what is learned from." in told
    version, _ = freeze_version(dataset=dataset)
    run = Run.objects.create(
        dataset=dataset, number=1, version=version, protocol={}, backbone="b", classes=["cat"],
        metrics={}, finished_at=version.created_at,
    )  # fmt: skip
    sets = {"copies": np.array([0, 0, 0, -1, 1, 1, -1])}
    sets["groups"] = join_groups([1, 1, 1, 2, 2, 2, 3])
    learned = np.where([s == "train" for _k, s, _g in placed], 1.0, np.nan)[:, None]
    arrays.save_run(run, {**sets, "probabilities": learned})
    assert without_leaks(run).sealed_leaked == 3
