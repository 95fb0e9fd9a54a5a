"""Consensus follows the annotators who are right, and never invents an answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.consensus import Consensus, Method, aggregate
from tests.mlcore.crowds import Crowd, coins, crowd_of, real_crowd

METHODS: tuple[Method, ...] = ("auto", "majority", "one_coin", "dawid_skene")


def infer(crowd: Crowd, **options: object) -> Consensus:
    said = (crowd.items, crowd.annotators, crowd.answers)
    options = {"n_items": len(crowd.truth), **options}
    return aggregate(*said, n_classes=crowd.n_classes, **options)  # type: ignore[arg-type]


def some_crowd(seed: int, *, n_items: int = 200, n_classes: int = 3, people: int = 8) -> Crowd:
    rng = np.random.default_rng(seed)
    matrices = coins(rng.uniform(0.5, 0.95, people), n_classes=n_classes)
    return crowd_of(matrices, n_items=n_items, answers_an_item=4, rng=rng)


def test_one_skilled_annotator_beats_three_who_guess() -> None:
    matrices = coins([0.95, 0.4, 0.4, 0.4], n_classes=4)
    crowd = crowd_of(matrices, n_items=400, answers_an_item=4, rng=np.random.default_rng(1))
    weighed = infer(crowd)
    assert crowd.right(weighed.label) > crowd.right(infer(crowd, method="majority").label) + 0.1
    assert weighed.accuracy.argmax() == 0


def test_an_annotator_who_swaps_two_classes_still_informs() -> None:
    matrices = coins([0.9, 0.8, 0.8], n_classes=3)
    matrices[0] = matrices[0][:, [1, 0, 2]]
    crowd = crowd_of(matrices, n_items=600, answers_an_item=3, rng=np.random.default_rng(2))
    weighed = infer(crowd)
    assert crowd.right(weighed.label) > crowd.right(infer(crowd, method="majority").label) + 0.05
    assert weighed.confusion is not None
    assert weighed.confusion[0, 0, 1] > 0.8


def test_a_few_answers_each_are_judged_by_what_the_crowd_does() -> None:
    rng = np.random.default_rng(3)
    matrices = coins(rng.uniform(0.6, 0.9, 400), n_classes=5)
    crowd = crowd_of(matrices, n_items=300, answers_an_item=4, rng=rng)
    found = infer(crowd)
    assert found.strength is None or found.strength >= 8
    assert crowd.right(found.label) >= crowd.right(infer(crowd, method="majority").label)


def test_who_has_a_matrix_of_their_own_is_given_it() -> None:
    rng = np.random.default_rng(4)
    matrices = rng.dirichlet(np.ones(3), size=(8, 3)) * 0.4 + 0.6 * np.eye(3)
    crowd = crowd_of(matrices, n_items=2000, answers_an_item=3, rng=rng)
    found = infer(crowd)
    assert found.method == "dawid_skene"
    assert found.strength is not None
    assert found.strength <= 8
    assert found.confusion is not None
    assert np.abs(found.confusion - matrices).mean() < 0.05


def test_who_is_shown_only_some_classes_is_not_said_to_call_the_others_by_these() -> None:
    rng = np.random.default_rng(0)
    habits = [rng.permutation(10) for _ in range(5)]  # what each one errs to
    said = [
        (item, who, habits[who][truth] if rng.random() < 0.15 else truth)
        for item, truth in enumerate(rng.integers(10, size=300))
        for who in range(5)
    ]
    said += [
        (300 + item, who, rng.integers(5) if rng.random() < 0.06 else truth)
        for item, truth in enumerate(rng.integers(5, size=60))
        for who in (5, 6)
    ]
    found = aggregate(*np.array(said).T, n_classes=10)
    assert (found.method, (found.accuracy[5:] > 0.85).all()) == ("dawid_skene", True)


def test_a_rare_class_does_not_become_the_class_of_doubt() -> None:
    """A class that few items have and many doubtful ones are given keeps its share."""
    rng = np.random.default_rng(5)
    doubtful = np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2], [0.3, 0.3, 0.4]])
    shares = np.array([0.48, 0.48, 0.04])
    crowd = crowd_of(
        np.tile(doubtful, (60, 1, 1)), n_items=300, answers_an_item=9, rng=rng, shares=shares
    )
    found = infer(crowd)
    assert crowd.right(found.label) >= crowd.right(infer(crowd, method="majority").label)
    assert (found.label == 2).mean() < 0.15


def test_a_model_breaks_ties_and_a_worthless_one_does_nothing() -> None:
    rng = np.random.default_rng(6)
    crowd = some_crowd(6, n_items=1500, n_classes=4, people=30)
    logits = rng.normal(size=(len(crowd.truth), 4))
    worthless = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    logits[np.arange(len(logits)), crowd.truth] += 2.0
    useful = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    alone, misled = infer(crowd), infer(crowd, probabilities=worthless)
    joined = infer(crowd, probabilities=useful)
    assert crowd.right(joined.label) > crowd.right(alone.label) + 0.01
    assert abs(crowd.right(misled.label) - crowd.right(alone.label)) < 0.01
    assert joined.model_weight is not None
    assert joined.model_weight == pytest.approx(2 / 3, abs=0.1)  # 2, given three times too sure


def test_gold_is_kept_whatever_people_say_and_tells_who_is_wrong() -> None:
    crowd = some_crowd(7)
    gold = np.where(np.arange(200) % 4 == 0, (crowd.truth + 1) % 3, -1)
    for method in METHODS:
        found = infer(crowd, method=method, gold=gold)
        assert (found.label[::4] == gold[::4]).all()
        assert (found.confidence[::4] == 1.0).all()
    assert np.nanmean(found.accuracy) < np.nanmean(infer(crowd).accuracy) - 0.1


def test_gold_for_all_is_the_label_of_all() -> None:
    crowd = some_crowd(8)
    found = infer(crowd, gold=crowd.truth)
    assert (found.label == crowd.truth).all()
    right = crowd.answers == crowd.truth[crowd.items]
    for person in range(8):
        assert found.accuracy[person] == pytest.approx(right[crowd.annotators == person].mean())


@pytest.mark.parametrize("method", METHODS)
def test_a_tie_is_no_answer(method: Method) -> None:
    found = aggregate(
        np.array([0, 0]), np.array([0, 1]), np.array([0, 1]), n_classes=2, method=method
    )
    assert found.label.tolist() == [-1]


@pytest.mark.parametrize("method", METHODS)
def test_an_item_without_answers_has_no_label(method: Method) -> None:
    said = np.array([0, 0, 2]), np.array([0, 7, 0]), np.array([1, 1, 0])
    found = aggregate(*said, n_classes=2, n_items=4, method=method)
    assert found.label.tolist() == [1, -1, 0, -1]
    assert found.confidence[[1, 3]].tolist() == [0.0, 0.0]
    assert np.isnan(found.accuracy[1:7]).all()


@pytest.mark.parametrize("method", METHODS)
def test_no_answers_at_all_give_no_labels(method: Method) -> None:
    empty = np.zeros(0, int)
    found = aggregate(empty, empty, empty, n_classes=3, n_items=2, method=method)
    assert found.label.tolist() == [-1, -1]
    assert np.allclose(found.posterior, 1 / 3)


def test_one_class_and_one_annotator_are_no_trouble() -> None:
    nobody_else = aggregate(np.arange(3), np.zeros(3, int), np.array([0, 1, 1]), n_classes=2)
    assert nobody_else.label.tolist() == [0, 1, 1]
    assert nobody_else.method == "majority"
    one_class = aggregate(np.array([0, 0, 1]), np.array([0, 1, 1]), np.zeros(3, int), n_classes=1)
    assert one_class.label.tolist() == [0, 0]


def test_more_classes_than_memory_are_judged_by_one_number_a_person() -> None:
    rng = np.random.default_rng(9)
    matrices = coins(rng.uniform(0.3, 0.9, 12), n_classes=50)
    crowd = crowd_of(matrices, n_items=300, answers_an_item=3, rng=rng)._replace(n_classes=5000)
    found = infer(crowd)
    assert found.method == "one_coin"
    assert found.confusion is None
    assert crowd.right(found.label) > 0.7


def test_answers_that_cannot_be_are_refused() -> None:
    one = np.array([0])
    with pytest.raises(ValueError, match="answers from 0 to 1"):
        aggregate(one, one, np.array([2]), n_classes=2)
    with pytest.raises(ValueError, match="whole numbers"):
        aggregate(one, one, np.array([0.5]), n_classes=2)
    with pytest.raises(ValueError, match="same length"):
        aggregate(one, one, np.array([0, 1]), n_classes=2)
    with pytest.raises(ValueError, match="gold must name a class"):
        aggregate(one, one, one, n_classes=2, gold=np.array([2]))
    with pytest.raises(ValueError, match="beyond the 1 items"):
        aggregate(np.array([1]), one, one, n_classes=2, n_items=1)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(1, 5), n_answers=st.integers(1, 60))
def test_who_and_what_is_called_by_which_number_does_not_matter(
    seed: int, n_classes: int, n_answers: int
) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, [12, 5], (n_answers, 2)), axis=0)
    items, annotators = pairs.T
    answers = rng.integers(0, n_classes, len(items))
    found = aggregate(items, annotators, answers, n_classes=n_classes, n_items=12)
    assert np.allclose(found.posterior.sum(axis=1), 1.0)

    order, people, classes = (rng.permutation(n) for n in (len(items), 5, n_classes))
    renamed = people[annotators[order]], classes[answers[order]]
    again = aggregate(items[order], *renamed, n_classes=n_classes, n_items=12)
    assert np.allclose(again.posterior[:, classes], found.posterior, atol=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_a_repeated_answer_counts_once_the_first(seed: int) -> None:
    crowd = some_crowd(seed, n_items=40)
    rng = np.random.default_rng(seed)
    again = rng.integers(0, len(crowd.items), 60)
    twice = Crowd(
        crowd.truth,
        np.concatenate([crowd.items, crowd.items[again]]),
        np.concatenate([crowd.annotators, crowd.annotators[again]]),
        np.concatenate([crowd.answers, rng.integers(0, 3, 60)]),
        3,
    )
    assert np.array_equal(infer(twice).posterior, infer(crowd).posterior)


def test_a_warm_start_gives_what_a_cold_one_gives() -> None:
    crowd = some_crowd(10, n_items=600)
    earlier = infer(
        crowd._replace(
            **{name: getattr(crowd, name)[:2000] for name in ("items", "annotators", "answers")}
        )
    )
    warm, cold = infer(crowd, start=earlier), infer(crowd)
    assert warm.strength == earlier.strength
    assert np.abs(warm.posterior - cold.posterior).mean() < 0.01
    assert np.allclose(infer(crowd, start=cold).posterior, cold.posterior)


def test_limits_of_an_accuracy_hold_it() -> None:
    rng = np.random.default_rng(11)
    right = rng.uniform(0.6, 0.95, 60)
    crowd = crowd_of(coins(right, n_classes=3), n_items=1500, answers_an_item=7, rng=rng)
    found = infer(crowd)
    held = (found.accuracy_low <= right) & (right <= found.accuracy_high)
    assert held.mean() >= 0.9


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("rte", 0.92),
        ("web", 0.81),
        ("bluebird", 0.88),
        ("weather_cf", 0.878),
        ("weather_amt", 0.849),
        ("barzan", 0.70),
        ("product", 0.93),
    ],
)
def test_real_crowds_are_judged_nearly_as_well_as_by_the_best_known_method(
    name: str, least: float
) -> None:
    crowd = real_crowd(name)
    assert crowd.right(infer(crowd).label) >= least


def test_limits_are_narrow_where_everybody_is_surely_right() -> None:
    matrices = coins([0.995] * 6, n_classes=3)
    crowd = crowd_of(matrices, n_items=120, answers_an_item=6, rng=np.random.default_rng(2))
    found = aggregate(crowd.items, crowd.annotators, crowd.answers, n_classes=3)
    assert (found.accuracy_low > 0.93).all()
