"""What stands in two splits is found once, with its items."""

from mlcore.duplicates import Pair
from mlcore.leakage import find_leaks


def test_a_copy_across_splits_is_a_leak_and_a_copy_within_one_is_not() -> None:
    pairs = [Pair(0, 1, 1.0, "bytes", "Same."), Pair(2, 3, 0.8, "hash", "Alike.")]
    leaks = find_leaks(pairs, ["train", "train", "train", "test"])
    assert [(leak.items, leak.splits) for leak in leaks] == [((2, 3), ("test", "train"))]
    assert "in test and in train" in leaks[0].reason


def test_a_copy_reached_only_through_a_third_item_leaks_too() -> None:
    pairs = [Pair(0, 1, 1.0, "bytes", ""), Pair(0, 2, 1.0, "bytes", "")]
    leaks = find_leaks(pairs, ["train", "train", "test"])
    assert sorted(leak.items for leak in leaks) == [(0, 2), (1, 2)]


def test_a_group_in_two_splits_is_flagged_once_with_all_its_items() -> None:
    splits = ["train", "train", "test", "train", "validation", "test"]
    groups = ["ann", "bob", "ann", "ann", "cem", None]
    leaks = find_leaks([], splits, groups)
    assert [(leak.group, leak.items) for leak in leaks] == [("ann", (0, 2, 3))]


def test_items_without_a_split_leak_nothing() -> None:
    pairs = [Pair(0, 1, 1.0, "bytes", "")]
    assert find_leaks(pairs, ["none", "test"], ["ann", "ann"]) == []


def test_a_split_that_ignores_sources_is_said_to_do_so() -> None:
    leaks = find_leaks([], ["train", "test"] * 3, ["ann", "ann", "bob", "bob", "cem", "cem"])
    assert all("this split ignores sources" in leak.reason for leak in leaks)
