"""A round that runs is changed, and nothing that was answered is lost."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from labeling.models import Annotation, Role
from labeling.services.changing import change_round
from tests.factories import make_member
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def states(asking: Any) -> list[tuple[str, int, int]]:
    rows = asking.round_items.order_by("item")
    return list(rows.values_list("state", "wanted", "taken"))


def test_more_answers_ask_about_settled_items_again_and_their_label_stays_until_then():
    asking = make_asking(2)
    first = make_annotator(asking)
    item = claim(asking, first)[0]
    answer(asking, item, first, "cat")
    change_round(asking=asking, name="first", answers_wanted=3)
    assert states(asking) == [("open", 3, 1), ("open", 3, 0)]
    item.refresh_from_db()
    assert item.label.name == "cat"
    for _ in range(2):
        other = make_annotator(asking)
        assert item in claim(asking, other, 2)
        assert answer(asking, item, other, "dog").outcome == "counted"
    item.refresh_from_db()
    assert item.label.name == "dog"


def test_fewer_answers_settle_what_has_enough_and_wait_for_what_is_held():
    asking = make_asking(3, wanted=3)
    one, two = make_annotator(asking), make_annotator(asking)
    answered, held, _untouched = claim(asking, one, 3)
    answer(asking, answered, one, "cat")
    answer(asking, held, one, "cat")
    assert held in claim(asking, two, 3)
    change_round(asking=asking, name="first", answers_wanted=1)
    answered.refresh_from_db()
    assert states(asking)[1] == ("open", 2, 2)
    assert answer(asking, held, two, "cat").outcome == "counted"
    assert states(asking)[1] == ("settled", 2, 2)
    assert not Annotation.objects.filter(is_surplus=True).exists()


def test_fewer_answers_settle_at_once_what_nobody_holds():
    asking = make_asking(1, wanted=3)
    one = make_annotator(asking)
    item = claim(asking, one)[0]
    answer(asking, item, one, "dog")
    change_round(asking=asking, name="first", answers_wanted=1)
    item.refresh_from_db()
    assert (states(asking), item.label.name) == ([("settled", 1, 1)], "dog")


def test_another_order_holds_for_what_is_left():
    asking = make_asking(12)
    before = list(asking.round_items.order_by("position").values_list("item", flat=True))
    change_round(asking=asking, name="first", order="random")
    after = list(asking.round_items.order_by("position").values_list("item", flat=True))
    assert before != after
    assert sorted(before) == sorted(after)
    change_round(asking=asking, name="first", order="listed")
    keys = list(asking.round_items.order_by("position").values_list("item__key", flat=True))
    assert keys == sorted(keys)


def test_a_lead_changes_people_deadline_price_and_name(client: Any):
    asking = make_asking(2)
    kept, off = (make_member(asking.dataset, Role.ANNOTATOR) for _ in range(2))
    client.force_login(make_member(asking.dataset, Role.LEAD))
    url = reverse("labeling:change_round", args=[asking.dataset.slug, asking.pk])
    page = client.get(url).text
    assert "What was answered stays and counts" in page
    sent = {"name": "Second", "answers_wanted": 1, "people": [kept.pk], "price": "0.1"}
    sent |= {"deadline": (NOW + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")}
    assert client.post(url, sent).status_code == 302
    asking.refresh_from_db()
    assert (asking.name, asking.price) == ("Second", Decimal("0.1"))
    client.force_login(off)
    assert client.get(reverse("labeling:annotate", args=[asking.pk])).status_code == 404
    client.force_login(kept)
    assert client.get(reverse("labeling:annotate", args=[asking.pk])).status_code == 200


def test_a_wrong_number_of_answers_is_refused_in_words(client: Any):
    asking = make_asking(1)
    client.force_login(make_member(asking.dataset, Role.LEAD))
    url = reverse("labeling:change_round", args=[asking.dataset.slug, asking.pk])
    refused = client.post(url, {"name": "r", "answers_wanted": 99})
    assert refused.status_code == 422
    assert "less than or equal to 50" in refused.text
