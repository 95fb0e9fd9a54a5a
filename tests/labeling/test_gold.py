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
    GuardEvent,
    Item,
    Round,
    RoundItem,
)
from labeling.queries import checking
from labeling.queries import guards as guard_queries
from labeling.queries import rounds as round_queries
from labeling.queries.progress import progress as progress_of
from labeling.services import gold
from labeling.services.annotations import return_skipped, withdraw_annotation
from labeling.services.rounds import claim_items, release_items
from mlcore.guards import CLOSELY
from tests.factories import make_asking, make_dataset, make_item, make_member
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
    return make_asking(
        dataset, [*known, *asked], name="mixed", kind=kind, answers_wanted=wanted, gold_every=every
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
    client.force_login(user)
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
