"""Figures that are kept equal what is worked out anew, after whatever was written by whomever."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from django.db import connection, transaction

from labeling import triggers as labeling
from labeling.models import Dataset, Item, LabelClass, Write, WriteArea
from labeling.queries.kept import stamp
from labeling.services.writes import LEAST_ROWS, add_up_writes
from mlcore.duplicates import Pair
from quality import copy_pairs
from quality import triggers as quality
from quality.models import Flag, FlagItem, FlagState
from quality.queries.flags import counted, tally_of
from quality.queries.overlap import figures_of, overlap_of
from quality.queries.overview import counted_spread, spread_of
from quality.queries.splits import shared_by_splits
from tests.factories import make_dataset, make_item

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

START = datetime(2026, 1, 1, tzinfo=UTC)
SPLITS = ("train", "validation", "test", "")
KINDS = ("label_error", "near_duplicate", "leakage")
WRITES = 40


def make_planted(rng: random.Random) -> Dataset:
    dataset = make_dataset()
    items = [make_item(dataset, label=rng.choice(("cat", "dog"))) for _ in range(12)]
    for item in items:
        place(dataset, rng, item)
        raise_one(dataset, rng, item)
    save_pairs(dataset, rng, items[0])
    return dataset


def place(_dataset: Dataset, rng: random.Random, item: Item) -> None:
    Item.objects.filter(pk=item.pk).update(
        split=rng.choice(SPLITS),
        source_group=rng.choice(("", "ann", "bob")),
        captured_at=START + timedelta(days=rng.randrange(9)),
    )


def exclude(_dataset: Dataset, rng: random.Random, item: Item) -> None:
    item.excluded = rng.choice(("", "blurred"))
    item.save()


def relabel(dataset: Dataset, rng: random.Random, item: Item) -> None:
    item.label = rng.choice([None, *LabelClass.objects.filter(dataset=dataset)])
    item.label_source = "import" if item.label else ""
    Item.objects.bulk_update([item], ["label", "label_source"])


def rename(dataset: Dataset, _rng: random.Random, _item: Item) -> None:
    found = LabelClass.objects.filter(dataset=dataset).exclude(name="dog").get()
    LabelClass.objects.filter(pk=found.pk).update(name="lynx" if found.name == "cat" else "cat")


def raise_one(dataset: Dataset, rng: random.Random, item: Item) -> None:
    given, kind = rng.choice(("", "cat", "dog")), rng.choice(KINDS)
    subject = f"{rng.random()}"
    flag = Flag(dataset=dataset, kind=kind, subject=subject, given=given, score=rng.random())
    Flag.objects.bulk_create([flag])
    FlagItem.objects.bulk_create([FlagItem(flag=flag, item=item)])


def settle(dataset: Dataset, rng: random.Random, _item: Item) -> None:
    flag = rng.choice([*Flag.objects.filter(dataset=dataset)])
    Flag.objects.filter(pk=flag.pk).update(
        state=rng.choice(FlagState.values), is_likely=rng.random() < 0.5
    )


def swap(dataset: Dataset, rng: random.Random, item: Item) -> None:
    row = rng.choice([*FlagItem.objects.filter(flag__dataset=dataset)])
    if not FlagItem.objects.filter(flag=row.flag_id, item=item).exists():
        FlagItem.objects.filter(pk=row.pk).update(item=item, role=rng.choice(("item", "part")))


def remove(dataset: Dataset, rng: random.Random, item: Item) -> None:
    Item.objects.filter(pk=item.pk).delete()
    raise_one(dataset, rng, make_item(dataset, label="dog", split=rng.choice(SPLITS)))


def forget_flag(dataset: Dataset, rng: random.Random, item: Item) -> None:
    Flag.objects.filter(pk=rng.choice([*Flag.objects.filter(dataset=dataset)]).pk).delete()
    raise_one(dataset, rng, item)


def unlink(dataset: Dataset, rng: random.Random, item: Item) -> None:
    FlagItem.objects.filter(item=item).delete()
    raise_one(dataset, rng, item)


def save_pairs(dataset: Dataset, rng: random.Random, _item: Item) -> None:
    ids = [*Item.objects.filter(dataset=dataset).values_list("pk", flat=True)]
    pairs = [Pair(*rng.sample(range(len(ids)), 2), 0.95, "pixels", "") for _ in range(6)]
    copy_pairs.save_pairs(dataset.pk, pairs, ids=ids)


def add_up(_dataset: Dataset, _rng: random.Random, _item: Item) -> None:
    add_up_writes()


EVENTS: tuple[Callable[[Dataset, random.Random, Item], None], ...] = (
    place,
    exclude,
    relabel,
    rename,
    raise_one,
    settle,
    swap,
    remove,
    forget_flag,
    unlink,
    save_pairs,
    add_up,
)


def check(dataset: Dataset) -> None:
    for kind in ("", *KINDS):
        assert tally_of(dataset, kind) == counted(dataset, kind)
    assert overlap_of(dataset) == figures_of(shared_by_splits(dataset))
    assert spread_of(dataset) == counted_spread(dataset)


@pytest.mark.parametrize("seed", range(3))
def test_after_any_sequence_of_writes_what_is_kept_equals_what_is_worked_out(seed: int) -> None:
    rng = random.Random(seed)
    dataset = make_planted(rng)
    check(dataset)
    for _ in range(WRITES):
        event = rng.choice(EVENTS)
        event(dataset, rng, rng.choice([*Item.objects.filter(dataset=dataset)]))
        check(dataset)


def test_what_was_undone_leaves_nothing_that_is_kept() -> None:
    dataset = make_planted(random.Random(1))
    item = dataset.items.get(pk=Flag.objects.filter(dataset=dataset)[0].flag_items.get().item_id)
    for reason in ("blurred", "dark"):
        with transaction.atomic():
            exclude_with(item, reason)
            check(dataset)
            transaction.set_rollback(True)
        check(dataset)
        Item.objects.filter(pk=item.pk).update(split=(reason == "dark" and "train") or "test")
        check(dataset)


def exclude_with(item: Item, reason: str) -> None:
    Item.objects.filter(pk=item.pk).update(excluded=reason)


def test_what_changes_nothing_counted_keeps_the_figures() -> None:
    dataset = make_planted(random.Random(2))
    before = stamp(dataset, WriteArea)
    item = dataset.items.first()
    assert item
    item.save()
    Item.objects.filter(pk=item.pk).update(metadata={"camera": "x"})
    other = make_dataset()
    raise_one(other, random.Random(2), make_item(other, label="cat"))
    assert stamp(dataset, WriteArea) == before


def test_many_rows_of_writes_become_one_and_the_sum_stays() -> None:
    dataset = make_dataset()
    item = make_item(dataset)
    for n in range(LEAST_ROWS + 1):
        Item.objects.filter(pk=item.pk).update(split=SPLITS[n % 4])
    before = stamp(dataset, WriteArea)
    assert add_up_writes() >= LEAST_ROWS
    assert stamp(dataset, WriteArea) == before
    assert Write.objects.filter(of=dataset.pk, area=WriteArea.PLACES).count() == 1


@pytest.mark.django_db(transaction=True)
def test_others_who_write_at_the_same_time_are_counted() -> None:
    dataset = make_planted(random.Random(3))
    items = [*dataset.items.all()]

    def write(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(10):
            place(dataset, rng, rng.choice(items))
            add_up_writes()
        connection.close()

    threads = [Thread(target=write, args=[seed]) for seed in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        tally_of(dataset)
        overlap_of(dataset)
    for thread in threads:
        thread.join()
    check(dataset)


def test_every_table_still_has_its_triggers() -> None:
    """SQLite loses them when a migration makes the table anew: see labeling/triggers.py."""
    wanted = {name for one in (*labeling.COUNTED, *quality.COUNTED) for name in one.names.values()}
    table = "sqlite_master WHERE type = 'trigger'"
    if connection.vendor == "postgresql":
        table = "(SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal) AS found"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM {table}")
        found = {name for (name,) in cursor.fetchall()}
    assert found == wanted
