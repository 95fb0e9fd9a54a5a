"""What gold items tell of people, what people tell of them, and the pages of both."""

import random

import pytest
from django.urls import reverse

from labeling.models import Annotation, GoldItem, Item, LabelClass
from labeling.queries import checking
from labeling.queries import gold as queries
from labeling.queries.progress import progress as progress_of
from labeling.services import gold
from labeling.services.rounds import claim_items, release_items
from tests.labeling.test_gold import claim, give_gold, make_mixed
from tests.labeling.test_rounds import NOW, answer, make_annotator

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_gold_tells_who_is_right_and_unsure_is_no_mistake():
    asking = make_mixed(4, golds=3)
    good, bad = make_annotator(asking), make_annotator(asking)
    give_gold(asking, good, "dog", n=2)
    give_gold(asking, bad, "cat", n=3)
    unsure = make_annotator(asking)
    give_gold(asking, unsure, "unsure", n=3)
    found = queries.by_annotator(asking.dataset)
    assert found == {good.pk: queries.Checked(2, 2), bad.pk: queries.Checked(3, 0)}
    assert found[good.pk].accuracy.low < found[good.pk].accuracy.value == 1.0


def test_an_annotator_sees_whole_batches_only(client):
    asking = make_mixed(1, golds=14)
    one = make_annotator(asking)
    assert one.user
    give_gold(asking, one, "dog", n=9)
    assert queries.own_results(one.user) == []
    give_gold(asking, one, "cat", n=14)
    (result,) = queries.own_results(one.user)
    assert (result.last, result.all) == (queries.Checked(10, 9), queries.Checked(10, 9))
    client.force_login(one.user)
    words = client.get(reverse("labeling:my_work")).content.decode()
    assert "9 of your last 10 check items right" in words


def test_gold_that_everybody_fails_is_reported_and_correcting_it_clears_them(client):
    asking = make_mixed(1, golds=2)
    for _ in range(4):
        give_gold(asking, make_annotator(asking), "cat", n=1)
    give_gold(asking, make_annotator(asking), "dog", n=2)
    first, second = queries.tried(asking.dataset)
    assert (first.answered, first.right, first.said, first.is_doubtful) == (
        5,
        1,
        "4 × cat, 1 × dog",
        True,
    )
    assert not second.is_doubtful
    owner = asking.dataset.memberships.get(role="owner").user
    client.force_login(owner)
    assert (
        "wrong?"
        in client.get(reverse("labeling:gold", args=[asking.dataset.slug])).content.decode()
    )
    cat = LabelClass.objects.get(dataset=asking.dataset, name="cat")
    url = reverse("labeling:correct_gold", args=[asking.dataset.slug, first.gold.pk])
    client.post(url, {"label": cat.pk})
    corrected = {row.gold.item_id: row for row in queries.tried(asking.dataset)}
    assert corrected[first.gold.item_id].right == 4
    assert GoldItem.objects.filter(item=first.gold.item).count() == 2
    row = corrected[first.gold.item_id].gold
    client.post(reverse("labeling:retire_gold", args=[asking.dataset.slug, row.pk]))
    assert len(queries.tried(asking.dataset)) == 1


def test_items_on_which_everybody_agrees_become_gold_for_the_others_of_the_same_round():
    asking = make_mixed(3, golds=0, wanted=3)
    people = [make_annotator(asking) for _ in range(4)]
    agreed, split, other = (row.item for row in asking.round_items.order_by("position"))
    for number, person in enumerate(people[:3]):
        answer(asking, agreed, person, "cat")
        answer(asking, split, person, "cat" if number else "dog")
    owner = asking.dataset.memberships.get(role="owner").user
    made = gold.promote_agreed(
        dataset=asking.dataset, count=5, by=owner, now=NOW, rng=random.Random(0)
    )
    assert made == 1
    known = GoldItem.objects.get()
    assert (known.item, known.label.name, known.source) == (agreed, "cat", "agreed")
    assert checking.unseen(asking, people[0]) == []
    seen: list[Item] = []
    for seed in range(20):
        seen += claim(asking, people[3], seed=seed)
        release_items(round=asking, annotator=people[3], items=[other.pk])
    assert agreed in seen
    answer(asking, agreed, people[3], "dog")
    assert queries.by_annotator(asking.dataset) == {people[3].pk: queries.Checked(1, 0)}
    agreed.refresh_from_db()
    assert agreed.label
    assert agreed.label.name == "cat"
    assert progress_of(asking, now=NOW).total == 3


def test_a_verify_round_asks_about_wrong_classes_of_gold_too():
    asking = make_mixed(40, golds=20, every=2, kind="verify")
    one = make_annotator(asking)
    for seed in range(100):
        rows = claim_items(round=asking, annotator=one, count=3, now=NOW, rng=random.Random(seed))
        if not rows:
            break
        for row in rows:  # somebody who says yes to everything
            assert row.item.label
            answer(asking, row.item, one, row.item.label.name, asked=row.item.label)
    found = queries.by_annotator(asking.dataset)[one.pk]
    assert found.answered >= 10
    assert 0.2 < found.accuracy.value < 0.8


def test_a_label_of_a_check_item_that_is_none_is_refused_and_a_reason_is_kept(client):
    asking = make_mixed(1, golds=1)
    slug = asking.dataset.slug
    owner = asking.dataset.memberships.get(role="owner").user
    client.force_login(owner)
    item = Item.objects.get(key="asked0")
    url = reverse("labeling:use_as_gold", args=[slug, item.pk])
    client.post(url, {"label": "99999"})
    assert not GoldItem.objects.filter(item=item).exists()
    dog = LabelClass.objects.get(dataset=asking.dataset, name="dog")
    client.post(url, {"label": dog.pk, "why": "it barks"})
    assert GoldItem.objects.get(item=item).why == "it barks"
    page = client.get(reverse("labeling:new_round", args=[slug])).content.decode()
    assert "One check item in" in page


def test_answers_from_before_two_classes_were_merged_count_for_what_they_became():
    asking = make_mixed(1, golds=3)
    one, other = make_annotator(asking), make_annotator(asking)
    give_gold(asking, one, "cat", n=3)
    assert queries.by_annotator(asking.dataset) == {one.pk: queries.Checked(3, 0)}
    cat, dog = (
        LabelClass.objects.get(dataset=asking.dataset, name=name) for name in ("cat", "dog")
    )
    LabelClass.objects.filter(pk=cat.pk).update(merged_into=dog, retired_at=NOW)
    give_gold(asking, other, "dog", n=1)
    checked = {one.pk: queries.Checked(3, 3), other.pk: queries.Checked(1, 1)}
    assert queries.by_annotator(asking.dataset) == checked
    # That it is no cat was right or wrong then; of the class as a whole it says nothing.
    Annotation.objects.filter(annotator=one).update(answer="no", label=None, asked=cat)
    assert queries.by_annotator(asking.dataset) == {other.pk: queries.Checked(1, 1)}
