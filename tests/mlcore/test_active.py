"""The order that learns: what an answer is worth, who is asked again, and a fair tenth."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.active import METHOD, NEAR, doubted, learning_order, with_random, worth
from mlcore.consensus import aggregate
from mlcore.neighbours import nearest

SEEDS = st.integers(0, 10_000)


def pool(seed: int, *, items: int = 40, classes: int = 4):
    rng = np.random.default_rng(seed)
    posterior = rng.dirichlet(np.full(classes, 0.5), items)
    labels = np.where(rng.random(items) < 0.5, rng.integers(0, classes, items), -1)
    graph = nearest(rng.normal(size=(items, 5)), k=6)
    return posterior, labels, graph


def ordered(values, is_new, graph, **options):
    return learning_order(
        values,
        is_new=is_new,
        neighbours=graph.indices,
        similarities=graph.similarities,
        **options,
    )


@settings(max_examples=40)
@given(SEEDS)
def test_every_item_is_reached_once_and_the_same_input_gives_the_same_order(seed):
    posterior, labels, graph = pool(seed)
    posterior[seed % 40] = np.nan
    values = worth(posterior, labels)
    found = ordered(values, labels < 0, graph)
    assert sorted(found) == list(range(40))
    assert found[-1] == seed % 40  # nothing is known of it
    assert (found == ordered(values, labels < 0, graph)).all()
    assert (ordered(values, labels < 0, graph, count=7) == found[:7]).all()


@settings(max_examples=40)
@given(SEEDS)
def test_the_first_item_is_worth_most_and_renaming_classes_changes_nothing(seed):
    posterior, labels, graph = pool(seed)
    values = worth(posterior, labels)
    assert values.min() >= 0
    assert values.max() <= 2
    assert values[ordered(values, labels < 0, graph)[0]] == values.max()
    turned = np.roll(posterior, 1, axis=1)
    assert np.allclose(worth(turned, np.where(labels < 0, -1, (labels + 1) % 4)), values)


def test_what_several_people_agree_on_is_not_asked_again_but_what_model_and_person_dispute_is():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 600)
    believed = np.where(rng.random(600) < 0.9, truth, (truth + 1) % 3)
    model = np.full((600, 3), 0.05)
    model[np.arange(600), believed] = 0.9
    said = np.where(rng.random((600, 3)) < 0.15, (truth[:, None] + 1) % 3, truth[:, None])
    asked = np.ones((600, 3), bool)
    asked[:400, 1:] = False
    items, people = np.nonzero(asked)
    agreed = aggregate(
        items, people, said[items, people], n_classes=3, probabilities=model, method=METHOD
    )
    again = doubted(agreed.posterior, said[:, 0])
    alone = np.arange(600) < 400
    is_wrong = said[:, 0] != truth
    assert again[alone & is_wrong].mean() > 0.7
    assert again[alone & ~is_wrong].mean() < 0.2
    three = ~alone & (said == said[:, :1]).all(axis=1)
    assert not again[three].any()
    assert worth(agreed.posterior, said[:, 0])[three].max() < 0.2


def test_a_copy_of_an_item_in_line_waits_until_all_others_are_asked():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 8))
    vectors[7] = vectors[3]
    graph = nearest(vectors, k=NEAR)
    values = np.full(30, 0.5)
    values[[3, 7]] = 0.9
    found = ordered(values, np.ones(30, bool), graph).tolist()
    assert found[0] == 3
    assert found[-1] == 7
    again = ordered(values, np.zeros(30, bool), graph).tolist()
    assert again[:2] == [3, 7]  # of labels that are doubted each is asked about


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(0, 20), st.integers(2, 12))
def test_the_random_part_is_mixed_in_evenly_and_nothing_is_lost(others, drawn, every):
    ordered, at_random = list(range(others)), list(range(100, 100 + drawn))
    mixed = with_random(ordered, at_random, every=every)
    assert [item for item in mixed if item >= 100] == at_random
    assert [item for item in mixed if item < 100] == ordered
    both = min(drawn, others // (every - 1)) * every
    assert all(item >= 100 for item in mixed[:both:every])


def test_the_random_part_tells_the_truth_where_the_order_does_not():
    """Whatever was asked so far: items drawn beforehand are a fair sample of all."""
    rng = np.random.default_rng(1)
    shares, bent = [], []
    for _ in range(200):
        is_right = rng.random(400) < 0.7
        drawn = rng.permutation(400)[:40]
        is_drawn = np.isin(np.arange(400), drawn)
        others = np.flatnonzero(~is_drawn)
        hard_first = others[np.argsort(is_right[others], kind="stable")]
        asked = np.array(with_random(hard_first.tolist(), drawn.tolist())[:200])
        shares.append(is_right[asked[is_drawn[asked]]].mean() - is_right.mean())
        bent.append(is_right[asked].mean() - is_right.mean())
    assert abs(np.mean(shares)) < 0.025  # four standard errors of 200 samples of 20
    assert np.mean(bent) < -0.1
