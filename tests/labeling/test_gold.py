"""Gold items: mixed in unseen, measuring people, changing no label and taking nobody's place."""

import json
import random
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    GoldItem,
    GuardEvent,
    Item,
    LabelClass,
    Round,
    RoundItem,
)
from labeling.queries import checking
from labeling.queries import gold as queries
from labeling.queries import guards as guard_queries
from labeling.queries import rounds as round_queries
from labeling.queries.progress import progress as progress_of
from labeling.services import gold
from labeling.services.annotations import return_skipped, withdraw_annotation
from labeling.services.rounds import claim_items, make_round, release_items
from mlcore.guards import CLOSELY
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_rounds import NOW, answer, make_annotator

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def make_mixed(
    items: int = 6, *, golds: int = 3, every: int = 2, wanted: int = 1, kind: str = "classify"
) -> Round:
    """A round about `items`, into which gold items known as dog are mixed."""
    dataset = make_dataset()
    known = [make_item(dataset, f"known{n}", label="dog").pk for n in range(golds)]
    owner = make_member(dataset)
    gold.use_labels_as_gold(items=known, dataset=dataset, by=owner, now=NOW)
    label = "cat" if kind == "verify" else None
    asked = [make_item(dataset, f"asked{n}", label=label).pk for n in range(items)]
    return make_round(
        dataset=dataset,
        name="mixed",
        kind=kind,
        items=[*known, *asked],
        answers_wanted=wanted,
        gold_every=every,
    )


def claim(asking: Round, annotator: Annotator, count: int = 1, *, seed: int = 0) -> list[Item]:
    rng = random.Random(seed)
    rows = claim_items(round=asking, annotator=annotator, count=count, now=NOW, rng=rng)
    return [row.item for row in rows]


def is_gold(item: Item) -> bool:
    return item.key.startswith("known")


def work_through(asking: Round, annotator: Annotator, said: str = "dog") -> list[Item]:
    """Answer until nothing is left; returns the items in the order in which they came."""
    seen = []
    for seed in range(100):
        items = claim(asking, annotator, 3, seed=seed)
        if not items:
            return seen
        for item in items:
            assert answer(asking, item, annotator, said).outcome == "counted"
        seen += items
    raise AssertionError("the round never ends")


def give_gold(asking: Round, annotator: Annotator, said: str, *, n: int) -> None:
    """Let somebody answer the first gold items, however they came by them."""
    for item in Item.objects.filter(key__startswith="known").order_by("pk")[:n]:
        _place, _ = RoundItem.objects.get_or_create(
            round=asking, item=item, state="gold", defaults={"position": 0, "wanted": 32_767}
        )
        answer(asking, item, annotator, said)


def test_gold_comes_at_the_rate_that_the_lead_set():
    asking = make_mixed(200, golds=100, every=10)
    seen = work_through(asking, make_annotator(asking))
    assert len(seen) - sum(map(is_gold, seen)) == 200
    assert 10 <= sum(map(is_gold, seen)) <= 35  # 22 expected; 3 standard deviations either way


def test_gold_comes_often_and_easy_until_it_vouches_for_somebody():
    asking = make_mixed(400, golds=60, every=20)
    easy = {item.pk for item in Item.objects.filter(key__startswith="known").order_by("pk")[:30]}
    for _ in range(2):
        give_gold(asking, make_annotator(asking), "dog", n=30)
    good, bad = make_annotator(asking), make_annotator(asking)
    seen = {}
    for person, said in ((good, "dog"), (bad, "cat")):
        items = []
        for seed in range(40):
            (item,) = claim(asking, person, seed=seed)
            answer(asking, item, person, said)
            items.append(item)
        seen[person] = [item for item in items if is_gold(item)]
    assert 8 <= len(seen[good]) <= 12
    assert 13 <= len(seen[bad]) <= 27  # 20 expected; 2.2 standard deviations either way
    assert sum(item.pk in easy for item in seen[good][:8]) >= 7
    assert guard_queries.gold_every(asking, good) == 20
    now = timezone.now()
    GuardEvent.objects.create(annotator=good, act="warn", kinds=["one key"], at=now)
    assert guard_queries.gold_every(asking, good) == CLOSELY


def test_without_a_rate_no_gold_is_mixed_in_and_known_items_are_asked_like_others():
    asking = make_mixed(2, golds=2, every=0)
    assert asking.round_items.count() == 4
    work_through(asking, make_annotator(asking))
    assert not Annotation.objects.filter(is_gold=True).exists()


def test_gold_takes_no_place_changes_no_label_and_wastes_no_answer():
    asking = make_mixed(6, golds=3, wanted=2)
    one, two, three = (make_annotator(asking) for _ in range(3))
    seen = [work_through(asking, person, "cat") for person in (one, two, three)]
    assert [sum(not is_gold(item) for item in items) for items in seen] == [6, 6, 0]
    assert any(is_gold(item) for item in seen[0])
    assert not Annotation.objects.filter(is_surplus=True).exists()
    known = Item.objects.filter(key__startswith="known")
    assert set(known.values_list("label__name", "label_source")) == {("dog", "import")}
    assert {row.state for row in asking.round_items.filter(item__in=known)} == {"gold"}
    progress = progress_of(asking, now=NOW)
    assert (progress.total, progress.settled, progress.answers) == (6, 6, 12)


def test_nobody_is_asked_twice_about_a_gold_item_nor_about_one_that_they_made():
    asking = make_mixed(30, golds=3)
    seen = work_through(asking, make_annotator(asking))
    assert len({item.pk for item in seen}) == len(seen)
    owner = asking.dataset.memberships.get(role="owner").user
    from labeling.services.annotations import annotator_for

    assert checking.unseen(asking, annotator_for(dataset=asking.dataset, user=owner)) == []


def test_gold_looks_like_any_other_item_on_the_wire(client):
    asking = make_mixed(12, golds=6)
    user = make_member(asking.dataset, "annotator")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("labeling:annotate_claims", args=[asking.pk])
    shapes, counts, was_gold = set(), [], set()
    for _ in range(4):
        body = client.post(url, json.dumps({"count": 5}), content_type="application/json").json()
        counts.append(len(body["items"]))
        for item in body["items"]:
            was_gold.add(is_gold(Item.objects.get(pk=item["item"])))
            shapes.add(tuple((name, type(value).__name__) for name, value in item.items()))
    assert was_gold == {True, False}
    assert max(counts) == 5
    assert len(shapes) == 1
    page = client.get(reverse("labeling:annotate", args=[asking.pk])).content.decode()
    assert "gold" not in page.lower()


def test_a_round_looks_equally_long_before_and_after_a_gold_answer():
    asking = make_mixed(20, golds=5, every=3)
    one = make_annotator(asking)
    totals = []
    for seed in range(10):
        standing = round_queries.standing(asking, one)
        totals.append(standing["answered"] + standing["left"])
        answer(asking, claim(asking, one, seed=seed)[0], one)
    assert set(totals) == {25}
    assert Annotation.objects.filter(is_gold=True).exists()


def test_a_round_never_grows_for_a_newcomer_and_my_work_says_the_same():
    asking = make_mixed(60, golds=40, every=6)
    user = make_member(asking.dataset, "annotator")
    expected = 60 + 12 + checking.UNTIL_VOUCHED + checking.BY_LUCK
    (before,) = round_queries.work_for(user, today=NOW).rounds
    assert before.left == expected
    one = Annotator.objects.create(dataset=asking.dataset, user=user)
    for seed in range(100):
        items = claim(asking, one, 3, seed=seed)
        standing = round_queries.standing(asking, one)
        (work,) = round_queries.work_for(user, today=NOW).rounds
        assert work.left == standing["left"]
        assert standing["answered"] + standing["left"] == expected or not items
        for item in items:
            answer(asking, item, one, "dog")
        if not items:
            break
    assert standing["left"] == 0
    assert Annotation.objects.filter(is_gold=True).count() >= checking.UNTIL_VOUCHED


def test_a_round_grows_once_for_who_is_never_vouched_for_and_my_work_says_why(client):
    asking = make_mixed(60, golds=70, every=6)
    user = make_member(asking.dataset, "annotator")
    one = Annotator.objects.create(dataset=asking.dataset, user=user)
    client.force_login(user)
    why = "right so far: you get more of them"
    totals, told = [], []
    for seed in range(200):
        items = claim(asking, one, 3, seed=seed)
        standing = round_queries.standing(asking, one)
        totals.append(standing["answered"] + standing["left"])
        if seed % 10 == 0 and items:
            told.append((totals[-1] > totals[0], why in client.get("/work/").text))
        for item in items:
            answer(asking, item, one, "cat")
        if not items:
            break
    steps = [total for total, before in zip(totals[1:], totals, strict=False) if total > before]
    assert (totals[0], steps) == (84, [120])
    assert standing["left"] == 0
    assert all(grew == said for grew, said in told)
    assert {grew for grew, _said in told} == {True, False}


def test_gold_that_was_skipped_or_undone_comes_back_like_any_other():
    asking = make_mixed(3, golds=1)
    one = make_annotator(asking)
    everything = []
    for seed in range(30):
        items = claim(asking, one, seed=seed)
        everything += items
        for item in items:
            answer(asking, item, one, "skip")
    assert sum(map(is_gold, everything)) == 1
    assert return_skipped(round=asking, annotator=one, now=NOW) == 4
    again = claim(asking, one, 10)
    assert {item.pk for item in again} == {item.pk for item in everything}
    (checked,) = (item for item in again if is_gold(item))
    client_id = uuid.uuid4()
    answer(asking, checked, one, "cat", client_id=client_id)
    assert withdraw_annotation(round=asking, annotator=one, client_id=client_id, now=NOW)
    place = RoundItem.objects.get(item=checked)
    assert (place.state, place.taken) == ("gold", 1)
    release_items(round=asking, annotator=one, items=[checked.pk])
    place.refresh_from_db()
    assert place.taken == 0


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
    client.force_login(one.user, backend="django.contrib.auth.backends.ModelBackend")
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
        "4 x cat, 1 x dog",
        True,
    )
    assert not second.is_doubtful
    owner = asking.dataset.memberships.get(role="owner").user
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
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


def test_pages_of_check_items_are_for_leads_and_bad_input_is_told(client):
    asking = make_mixed(1, golds=1)
    slug = asking.dataset.slug
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(make_member(asking.dataset, "reviewer"), backend=backend)
    assert client.get(reverse("labeling:gold", args=[slug])).status_code == 403
    owner = asking.dataset.memberships.get(role="owner").user
    client.force_login(owner, backend=backend)
    item = Item.objects.get(key="asked0")
    url = reverse("labeling:use_as_gold", args=[slug, item.pk])
    client.post(url, {"label": "99999"})
    assert not GoldItem.objects.filter(item=item).exists()
    dog = LabelClass.objects.get(dataset=asking.dataset, name="dog")
    client.post(url, {"label": dog.pk, "why": "it barks"})
    assert GoldItem.objects.get(item=item).why == "it barks"
    page = client.get(reverse("labeling:new_round", args=[slug])).content.decode()
    assert "One check item in" in page


def test_an_answer_to_a_check_item_settles_no_item_that_opened_again():
    asking = make_mixed(1, golds=0, wanted=2)
    one, two, three = (make_annotator(asking) for _ in range(3))
    item = asking.round_items.get().item
    client_id = uuid.uuid4()
    answer(asking, item, one, "cat", client_id=client_id)
    answer(asking, item, two, "cat")
    owner = asking.dataset.memberships.get(role="owner").user
    gold.use_labels_as_gold(items=[item.pk], dataset=asking.dataset, by=owner, now=NOW)
    assert claim(asking, three, 1) == []  # gold alone is never asked
    place = RoundItem.objects.create(
        round=asking, item=item, state="gold", position=0, wanted=32_767
    )
    assert answer(asking, item, three, "dog").outcome == "counted"
    assert Annotation.objects.get(annotator=three).is_gold
    withdraw_annotation(round=asking, annotator=one, client_id=client_id, now=NOW)
    assert answer(asking, item, one, "cat").outcome == "counted"
    place.refresh_from_db()
    ordinary = RoundItem.objects.get(round=asking, item=item, state="settled")
    assert (place.taken, ordinary.taken) == (1, 2)
    history = item.label_changes.order_by("-pk").values_list("confidence", flat=True)
    assert history[0] == 1.0


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
