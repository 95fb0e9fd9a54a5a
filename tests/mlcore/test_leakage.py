"""What stands in two splits is found once, with its items."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlcore.duplicates import Pair
from mlcore.leakage import (
    GROUP_SCORE,
    GROUP_SCORE_WITHOUT_TEST,
    NO_SPLIT,
    find_ties,
    find_torn_sources,
    have_counterparts,
)


def test_a_source_in_two_splits_is_told_once_with_all_its_items_and_those_of_test_first() -> None:
    splits = ["train", "train", "test", "train", "validation", "test", "none", "train"]
    sources = ["eve", "bob", "ann", "ann", "eve", None, "bob", "cem"]
    found = find_torn_sources(splits, sources)
    assert [(one.name, one.items, one.splits, one.score) for one in found] == [
        ("ann", (2, 3), ("test", "train"), GROUP_SCORE),
        ("eve", (0, 4), ("train", "validation"), GROUP_SCORE_WITHOUT_TEST),
    ]
    assert not [one for one in found if "ignores" in one.reason], "two of four sources"


def test_a_split_that_ignores_sources_is_said_to_do_so() -> None:
    found = find_torn_sources(["train", "test"] * 2 + ["train"], [*"aabb", "c"])
    words = "So is one other source: this split ignores sources."
    assert [one.reason.endswith(words) for one in found] == [True, True]
    assert "other source" not in find_torn_sources(["train", "test"], ["a", "a"])[0].reason


def counts(pairs: list[Pair], splits: list[str]) -> dict[tuple[str, str, str], int]:
    ties = find_ties(pairs, splits)
    return Counter((tie.evidence, splits[tie.item], splits[tie.other]) for tie in ties)


def test_ties_count_items_of_a_split_that_have_a_counterpart_in_another() -> None:
    pairs = [
        Pair(0, 2, 0.9, "mirror", ""),
        Pair(1, 2, 0.8, "mirror", ""),
        Pair(0, 1, 0.7, "hash", ""),
        Pair(0, 3, 0.7, "hash", ""),
    ]
    splits = ["train", "train", "test", "none"]
    assert counts(pairs, splits) == {
        ("mirror", "test", "train"): 1,
        ("mirror", "train", "test"): 2,
        ("hash", "train", "train"): 2,
    }


def test_the_counterpart_is_the_closest_one() -> None:
    pairs = [Pair(0, 1, 0.6, "hash", ""), Pair(0, 2, 0.9, "hash", "")]
    ties = find_ties(pairs, ["test", "train", "train"])
    assert [tie.other for tie in ties if tie.item == 0] == [2]


@given(st.lists(st.sampled_from(["train", "validation", "test", "none", ""]), max_size=12))
def test_equal_things_are_tied_whichever_of_them_was_paired(splits: list[str]) -> None:
    pairs = [Pair(0, row, 1.0, "bytes", "") for row in range(1, len(splits))]
    divided = [split for split in splits if split not in NO_SPLIT]
    sizes = Counter(divided)
    expected = {
        ("bytes", split, other): n
        for split, n in sizes.items()
        for other in sizes
        if split != other or n > 1
    }
    assert counts(pairs, splits) == expected


PLACES = st.integers(0, 7)


@given(
    st.lists(st.sampled_from(["train", "test", "none"]), min_size=8, max_size=8),
    st.lists(st.tuples(PLACES, PLACES).filter(lambda two: two[0] < two[1])),
    st.sampled_from(["bytes", "hash"]),
)
def test_counterparts_stand_where_ties_do(
    splits: list[str], joined: list[tuple[int, int]], evidence: str
) -> None:
    first, second = np.array(joined, int).reshape(-1, 2).T
    stand = np.array(splits)[:, None] == ["train", "test"]
    have = have_counterparts(first, second, stand, evidence=evidence)
    found = {
        ("train", "test").index(splits[tie.other]) + 2 * tie.item
        for tie in find_ties([Pair(*pair, 0.9, evidence, "") for pair in joined], splits)
    }
    assert found == set(np.flatnonzero(have & stand.any(axis=1)[:, None]).tolist())
