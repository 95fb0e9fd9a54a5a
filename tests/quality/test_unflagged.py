"""Every 20th item among the label errors is drawn at random: what does the queue miss?"""

import random

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import Dataset, Item, Role, RoundItem, RoundItemState, User
from labeling.services import labels
from quality.models import UNFLAGGED, Action, Decision, Flag, FlagState
from quality.queries import flags as counting
from quality.queries import review, unflagged
from quality.queries.report import report_of
from quality.services.decisions import decide_flag, undo_decision
from quality.services.drawing import draw
from tests.factories import make_dataset, make_flag, make_item, make_member
from tests.quality.test_review_pages import FETCH, make_flags

pytestmark = pytest.mark.django_db
QUEUE = "label_error"


@pytest.fixture
def dataset() -> Dataset:
    """Thirty doubted items and, beside them, items in every state."""
    made = make_dataset("pets")
    make_flags(made, 30)
    make_item(made, "test.png", "cat", split="test")
    make_item(made, "out.png", "cat", excluded="blurred")
    make_item(made, "bare.png")
    return made


@pytest.fixture
def ann(dataset: Dataset) -> User:
    return make_member(dataset, Role.REVIEWER, "ann")


def review_some(dataset: Dataset, by: User, n: int) -> None:
    for _ in range(n):
        flag = review.first_open(dataset, QUEUE)
        decide_flag(flag=flag, reviewer=by, action=Action.KEEP)
        draw(dataset=dataset, rng=random.Random(n))


def plain_items(dataset: Dataset, n: int) -> list[Item]:
    return [make_item(dataset, f"plain{number}.png", "cat") for number in range(n)]


def test_the_twentieth_is_an_item_that_nothing_doubts_and_then_it_begins_anew(dataset, ann):
    plain_items(dataset, 3)
    kinds = []
    for _ in range(22):
        kinds.append(review.first_open(dataset, QUEUE).kind)
        review_some(dataset, ann, 1)
    assert [place for place, kind in enumerate(kinds, 1) if kind == UNFLAGGED] == [20]
    assert unflagged.ahead(dataset) == 17


def test_only_labelled_included_items_outside_test_that_nothing_held_are_drawn(dataset, ann):
    (plain,) = plain_items(dataset, 1)
    assert list(unflagged.drawable(dataset)) == [plain]
    review_some(dataset, ann, 12)
    drawn = Flag.objects.get(kind=UNFLAGGED)
    assert (drawn.items.get(), drawn.given, drawn.evidence) == (plain, "cat", {"of": 1})
    decide_flag(flag=drawn, reviewer=ann, action=Action.KEEP)
    assert not unflagged.drawable(dataset).exists()


def test_a_doubt_that_is_gone_makes_an_item_one_of_the_others(dataset):
    flag = Flag.objects.first()
    Flag.objects.filter(pk=flag.pk).update(state=FlagState.GONE)
    assert list(unflagged.drawable(dataset)) == [flag.items.get()]


def test_what_was_said_of_them_estimates_what_the_queue_misses(dataset, ann, client):
    items = plain_items(dataset, 40)
    for number, item in enumerate(items):
        flag = make_flag(
            item, kind=UNFLAGGED, given="cat", score=0, reason="drawn", evidence={"of": 2000}
        )
        wrong, is_given_again = number < 4, number == 4
        decide_flag(
            flag=flag,
            reviewer=ann,
            action=Action.RELABEL if wrong or is_given_again else Action.KEEP,
            label=dataset.classes.get(name="dog" if wrong else "cat"),
        )
    found = unflagged.missed(dataset)
    assert (found.of, found.looked, found.wrong, found.share.value) == (2000, 40, 4, 0.1)
    assert found.items.low < found.items.value == 200 < found.items.high
    undo_decision(decision=Decision.objects.first(), reviewer=ann)
    assert (unflagged.missed(dataset).looked, unflagged.missed(dataset).wrong) == (39, 3)
    told = report_of(dataset, None, kinds={}, now=timezone.now(), with_people=False)
    assert told.missed.looked == 39
    client.force_login(ann)
    page = reverse("quality:report", args=["pets"])
    assert "about 154 are wrong" in client.get(page).text
    Flag.objects.filter(pk__in=Flag.objects.filter(kind=UNFLAGGED)[:20]).delete()
    few = client.get(page).text
    assert "19 drawn at random were looked at" in few
    assert "too few to say how many are" in few
    assert "are wrong (" not in few


def test_a_drawn_item_that_a_later_check_doubts_no_longer_counts_as_missed(dataset, ann):
    (item,) = plain_items(dataset, 1)
    review_some(dataset, ann, 20)
    assert unflagged.missed(dataset).looked == 1
    make_flag(item, kind=QUEUE, subject="later", given="cat", suggested="dog", score=0.5)
    assert unflagged.missed(dataset) is None


def test_drawn_items_are_no_doubts_on_any_other_page(dataset, ann, client):
    plain_items(dataset, 1)
    review_some(dataset, ann, 12)
    assert UNFLAGGED not in counting.counts_by_kind(dataset)
    client.force_login(ann)
    for name in ("review", "checks", "browse"):
        assert "Drawn at random" not in client.get(reverse(f"quality:{name}", args=["pets"])).text
    item = Item.objects.get(flags__kind=UNFLAGGED)
    page = client.get(reverse("quality:item", args=["pets", item.pk])).text
    assert "No check and nobody doubted it." in page
    assert UNFLAGGED not in {row["kind"] for row in counting.flag_rows(dataset)}


def test_the_queue_shows_it_with_a_mark_takes_the_answer_and_undoes_it(dataset, ann, client):
    plain_items(dataset, 1)
    review_some(dataset, ann, 19)
    client.force_login(ann)
    drawn = Flag.objects.get(kind=UNFLAGGED)
    shown = client.get(reverse("quality:queue", args=["pets", QUEUE])).text
    assert "drawn at random: not flagged" in shown
    assert "Keep cat" in shown
    address = reverse("quality:decide", args=["pets", QUEUE, drawn.pk])
    sent = client.post(address, {"action": f"relabel:{dataset.classes.last().pk}"}, **FETCH)
    assert "unflagged: 1 of 1 wrong</span>" in sent.json()["counts"]  # too few for a share of all
    assert drawn.items.get().label.name == "dog"
    undone = client.post(reverse("quality:undo", args=["pets", QUEUE]), {}, **FETCH)
    assert undone.json()["flag"] == drawn.pk
    assert drawn.items.get().label.name == "cat"


def test_the_rail_shows_it_ahead_at_its_place(dataset, ann):
    plain_items(dataset, 1)
    review_some(dataset, ann, 14)
    kinds = [flag.kind for flag, _shown in review.upcoming(dataset, QUEUE)]
    assert kinds.index(UNFLAGGED) == 5


def test_switched_off_nothing_is_drawn_and_nothing_drawn_is_shown(dataset, ann):
    plain_items(dataset, 1)
    review_some(dataset, ann, 12)
    dataset.draws_unflagged = False
    review_some(dataset, ann, 12)
    assert Flag.objects.filter(kind=UNFLAGGED).count() == 1
    assert UNFLAGGED not in [flag.kind for flag, _shown in review.upcoming(dataset, QUEUE)]


def test_one_waits_at_a_time(dataset, ann):
    plain_items(dataset, 3)
    review_some(dataset, ann, 12)
    assert draw(dataset=dataset, rng=random.Random(1)) is None
    assert Flag.objects.filter(kind=UNFLAGGED).count() == 1


def test_a_drawn_item_that_was_sent_to_a_round_counts_once_the_round_has_settled_it(dataset, ann):
    plain = plain_items(dataset, 3)
    cat, dog = (dataset.classes.get(name=name) for name in ("cat", "dog"))
    for item in plain:
        flag = make_flag(item, kind=UNFLAGGED, given="cat", score=0.0, evidence={"of": 30})
        decide_flag(flag=flag, reviewer=ann, action=Action.ROUND)
        assert unflagged.missed(dataset) is None
    places = RoundItem.objects.filter(item__in=plain)
    places.exclude(item=plain[2]).update(state=RoundItemState.SETTLED)
    labels.set_labels(labels={plain[0].pk: dog, plain[1].pk: cat}, source="consensus")
    found = unflagged.missed(dataset)
    assert (found.looked, found.wrong, found.of) == (2, 1, 30)
    Item.objects.filter(pk=plain[2].pk).update(excluded="broken")
    assert (unflagged.missed(dataset).looked, unflagged.missed(dataset).wrong) == (3, 2)
