"""Copies join into sets, of which one stays; none is taken out that leaves no copy of its own."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.copy_sets import Proposal, copy_sets, joined, keep_one, propose
from mlcore.duplicates import EXACT, Pair


def test_sets_join_through_others_and_one_is_kept() -> None:
    pairs = [
        Pair(1, 4, 1.0, "bytes", ""),
        Pair(2, 4, 0.9, "hash", ""),
        Pair(0, 3, 1.0, "bytes", ""),
    ]
    assert copy_sets(6, pairs) == [[0, 3], [1, 2, 4]]
    kept = keep_one(
        [1, 2, 4],
        is_test=[False, True, False, False, False],
        is_labelled=[True] * 5,
        sizes=[1.0, 1.0, 2.0, 1.0, 3.0],
    )
    assert kept == 1  # the test copy, although another is larger


def alone(proposals: list[Proposal]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(found.kept, found.taken) for found in proposals]


def test_a_long_chain_in_any_order_is_one_set() -> None:
    order, start = np.random.default_rng(0).permutation(100_000), time.process_time()
    assert not joined(len(order), order[:-1], order[1:]).any()
    assert time.process_time() - start < 5, "a tenth of a second; minutes item by item"


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12))
def test_each_item_is_in_the_set_of_whatever_it_is_paired_with(
    pairs: list[tuple[int, int]],
) -> None:
    sets = [{item} for item in range(12)]
    for one, other in pairs:
        if sets[one] is not sets[other]:
            sets[one] |= sets[other]
            for item in sets[other]:
                sets[item] = sets[one]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    assert joined(12, first, second).tolist() == [min(members) for members in sets]


def test_a_look_alike_never_joins_a_set_of_equal_files() -> None:
    pairs = [Pair(1, 2, 1.0, "bytes", ""), Pair(0, 1, 0.7, "hash", "")]
    found = propose(pairs, is_test=[False] * 3, is_labelled=[True] * 3, sizes=[9.0, 1.0, 1.0])
    assert alone(found)[0] == ((1,), (2,))
    assert [set(one.items) for one in found[1:]] == [{0, 1}]


def test_likeness_is_not_passed_on_along_a_chain() -> None:
    chain = [Pair(item, item + 1, 0.8, "hash", "") for item in range(4)]
    found = propose(chain, is_test=[False] * 5, is_labelled=[True] * 5, sizes=[1.0] * 5)
    told = {(pair.first, pair.second) for pair in chain}
    assert {pair for one in found for pair in told if set(pair) <= set(one.items)} == told
    assert all(len(one.items) <= 3 for one in found)


copy_graphs = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.sampled_from(("bytes", "hash", "embedding"))
    ),
    max_size=20,
)


@settings(max_examples=300)
@given(
    edges=copy_graphs,
    is_test=st.lists(st.booleans(), min_size=10, max_size=10),
    sizes=st.lists(st.sampled_from((1.0, 2.0)), min_size=10, max_size=10),
    leaks=st.booleans(),
)
def test_what_is_taken_out_always_leaves_a_copy_of_its_own(
    edges: list[tuple[int, int, str]], is_test: list[bool], sizes: list[float], leaks: bool
) -> None:
    pairs = [Pair(min(i, j), max(i, j), 0.8, kind, "") for i, j, kind in edges if i != j]
    equal = {item: {item} for item in range(10)}
    for items in copy_sets(10, [pair for pair in pairs if pair.evidence in EXACT]):
        equal |= {item: set(items) for item in items}
    copies = {item: set(same) for item, same in equal.items()}
    for pair in pairs:
        for one in equal[pair.first]:
            copies[one] |= equal[pair.second]
        for other in equal[pair.second]:
            copies[other] |= equal[pair.first]
    splits = ["test" if test else "train" for test in is_test] if leaks else None
    found = propose(pairs, is_test=is_test, is_labelled=[True] * 10, sizes=sizes, splits=splits)
    for one in found:
        assert one.kept
        assert all(copies[item] & set(one.kept) for item in one.taken)
        is_across = len({is_test[item] for item in one.items}) == 2
        assert not (is_across and any(is_test[item] for item in one.taken))
    gone = {item for one in found for item in one.taken}
    # Of equal files one stays, or a picture that somebody saw to be a copy of it.
    for item in gone:
        reachable = set().union(*(copies[same] for same in equal[item]))
        assert reachable - gone
