"""What people say beside a class: no, later, a question; and what they are shown beside an item."""

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    Claim,
    Example,
    Item,
    LabelClass,
    Question,
    Round,
    RoundItem,
    Suggestion,
)
from labeling.queries import annotators
from labeling.services import annotations, rounds
from labeling.services.guidelines import publish_guideline, use_as_example
from tests import factories
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


def make_asking(items: int = 3, *, wanted: int = 1, **fields: object) -> Round:
    dataset = make_dataset()
    asked = [make_item(dataset, label="cat").pk for _ in range(items)]
    return factories.make_asking(dataset, asked, answers_wanted=wanted, **fields)


def as_member(client: Client, asking: Round, role: str = "annotator") -> Annotator:
    user = make_member(asking.dataset, role)
    client.force_login(user)
    return annotations.annotator_for(dataset=asking.dataset, user=user)


def send(client: Client, asking: Round, door: str, **body: object) -> dict:
    url = reverse(f"labeling:annotate_{door}", args=[asking.pk])
    reply = client.post(url, json.dumps(body), content_type="application/json")
    assert reply.status_code == 200, reply.content
    return reply.json()


def say(client: Client, asking: Round, item: int, answer: str, **fields: object) -> str:
    given = {"client_id": str(uuid.uuid4()), "item": item, "answer": answer, **fields}
    return send(client, asking, "answers", answers=[given])["answers"][0]["outcome"]


def test_a_plain_no_refuses_the_class_and_gives_the_item_no_label(client):
    asking = make_asking(1, kind="verify", wanted=3)
    cat = LabelClass.objects.get(dataset=asking.dataset, name="cat")
    (item,) = Item.objects.filter(dataset=asking.dataset)
    for answer in ({"answer": "no"}, {"answer": "class", "label": cat.pk}, {"answer": "no"}):
        as_member(client, asking)
        assert say(client, asking, item.pk, asked=cat.pk, **answer) == "counted"
    row = RoundItem.objects.get(item=item)
    assert row.state == "disputed"
    refused = Annotation.objects.filter(answer="no")
    assert [(said.label, said.asked) for said in refused] == [(None, cat)] * 2
    assert refused.exclude(answer="unsure").count() == 2


def test_a_no_that_names_nothing_is_refused(client):
    asking = make_asking(1, kind="verify")
    as_member(client, asking)
    assert say(client, asking, Item.objects.get().pk, "no") == "refused"


def test_what_is_parked_comes_back_when_nothing_else_is_left(client):
    asking = make_asking(3)
    as_member(client, asking)
    first, second = (item["item"] for item in send(client, asking, "claims", count=2)["items"])
    assert say(client, asking, first, "skip", is_parked=True) == "skipped"
    (third,) = send(client, asking, "claims", count=5)["items"]
    assert third["item"] not in (first, second)
    (again,) = send(client, asking, "claims", count=5)["items"]
    assert again["item"] == first


def test_what_is_skipped_does_not_come_back_by_itself(client):
    asking = make_asking(1)
    as_member(client, asking)
    (item,) = send(client, asking, "claims", count=5)["items"]
    say(client, asking, item["item"], "skip")
    reply = send(client, asking, "claims", count=5)
    assert (reply["items"], reply["waiting"]["skipped"]) == ([], 1)


def test_a_question_reaches_the_lead_once_and_the_reply_reaches_who_asked(client):
    asking = make_asking(1)
    asker = as_member(client, asking)
    item = Item.objects.get().pk
    question = {"client_id": str(uuid.uuid4()), "item": item, "text": "Are kittens cats?"}
    for _ in range(2):
        send(client, asking, "question", **question)
    (asked,) = Question.objects.all()
    as_member(client, asking, "lead")
    page = reverse("labeling:round", args=[asking.dataset.slug, asking.pk])
    assert "Are kittens cats?" in client.get(page).content.decode()
    reply = reverse("labeling:reply", args=[asking.dataset.slug, asking.pk, asked.pk])
    client.post(reply, {"text": "Yes."})
    client.force_login(asker.user)
    work = client.get(reverse("labeling:my_work")).content.decode()
    assert "new reply" in work
    assert "Yes." in work
    client.post(reverse("labeling:replies_seen"))
    assert "new reply" not in client.get(reverse("labeling:my_work")).content.decode()


def test_my_answers_shows_only_mine_and_offers_each_for_change(client):
    asking = make_asking(2, wanted=2)
    items = list(Item.objects.values_list("pk", flat=True))
    as_member(client, asking)
    say(client, asking, items[0], "unusable", reason="theirs")
    as_member(client, asking)
    say(client, asking, items[1], "unusable", reason="mine")
    html = client.get(reverse("labeling:annotate_mine", args=[asking.pk])).content.decode()
    assert "mine" in html
    assert "theirs" not in html
    assert f"?item={items[1]}" in html
    page = client.get(reverse("labeling:annotate", args=[asking.pk]), {"item": items[1]})
    assert page.context["settings"]["change"]["entry"]["item"] == items[1]
    others = client.get(reverse("labeling:annotate", args=[asking.pk]), {"item": items[0]})
    assert others.context["settings"]["change"] is None


def test_a_page_of_my_answers_leads_to_the_earlier_ones(client):
    asking = make_asking(annotators.ANSWERS_A_PAGE + 2)
    me = as_member(client, asking)
    for item in Item.objects.all():
        Annotation.objects.create(round=asking, item=item, annotator=me, answer="unsure")
    page = reverse("labeling:annotate_mine", args=[asking.pk])
    first = client.get(page)
    assert len(first.context["rows"]) == annotators.ANSWERS_A_PAGE
    assert len(client.get(page + first.context["next_url"]).context["rows"]) == 2


def test_a_new_guideline_holds_in_open_rounds_and_answers_name_what_was_on_the_screen(client):
    dataset = make_dataset()
    old = publish_guideline(dataset=dataset, text="old")
    items = [make_item(dataset).pk for _ in range(2)]
    asking = rounds.make_round(
        dataset=dataset, name="r", kind="classify", items=items, answers_wanted=1
    )
    as_member(client, asking)
    send(client, asking, "seen", guideline=old.pk)
    new = publish_guideline(dataset=dataset, text="new", change="All is new.")
    assert "guideline changed" in client.get(reverse("labeling:my_work")).content.decode()
    assert send(client, asking, "claims", count=5)["guideline"] == new.pk
    say(client, asking, items[0], "unsure", guideline=old.pk)
    say(client, asking, items[1], "unsure", guideline=new.pk)
    read = Annotation.objects.order_by("pk").values_list("guideline__text", flat=True)
    assert list(read) == ["old", "new"]
    send(client, asking, "seen", guideline=new.pk)
    send(client, asking, "seen", guideline=old.pk)  # late, from another tab
    assert Annotator.objects.get().guideline_seen == new


def test_examples_are_frozen_with_the_version_that_shows_them(client):
    asking = make_asking(1)
    dataset, item = asking.dataset, Item.objects.get()
    cat = LabelClass.objects.get(dataset=dataset, name="cat")
    first = publish_guideline(dataset=dataset, text="same")
    as_member(client, asking, "lead")
    example = {"label": cat.pk, "is_right": "wrong", "note": "a dog"}
    client.post(reverse("labeling:use_as_example", args=[dataset.slug, item.pk]), example)
    settings = client.get(reverse("labeling:settings", args=[dataset.slug])).content.decode()
    assert "see them when you publish" in settings
    second = publish_guideline(dataset=dataset, text="same")
    assert (first.examples, second.number) == ([], 2)
    assert [(row["class"], row["is_right"]) for row in second.examples] == [("cat", False)]
    client.post(reverse("labeling:drop_example", args=[dataset.slug, Example.objects.get().pk]))
    shown = client.get(reverse("labeling:annotate_guideline", args=[asking.pk])).content.decode()
    assert "not cat" in shown
    assert publish_guideline(dataset=dataset, text="same").examples == []


def test_suggestions_are_shown_as_the_round_says_but_never_one_in_ten(client):
    asking = make_asking(200, suggesting="before")
    dog = LabelClass.objects.get(dataset=asking.dataset, name="dog")
    for item in Item.objects.all():
        Suggestion.objects.create(item=item, label=dog, probability=0.9)
    me = as_member(client, asking)
    items = list(Item.objects.all())
    drawn = annotators.suggestions_for(asking, me, items)
    shown = [drawn[item.pk]["shown"] for item in items]
    assert 8 <= shown.count("withheld") <= 35  # binomial, 200 draws of a tenth
    assert set(shown) == {"withheld", "before"}
    assert annotators.suggestions_for(asking, me, items) == drawn
    (first,) = send(client, asking, "claims", count=1)["items"]
    was = first["suggestion"]
    say(client, asking, first["item"], "unsure", suggestion=was["id"], suggestion_shown="before")
    kept = Annotation.objects.get()
    assert (kept.suggestion, kept.suggestion_shown) == (dog, "before")


def test_without_suggestions_none_leaves_the_server(client):
    asking = make_asking(1)
    dog = LabelClass.objects.get(dataset=asking.dataset, name="dog")
    Suggestion.objects.create(item=Item.objects.get(), label=dog, probability=0.9)
    as_member(client, asking)
    (item,) = send(client, asking, "claims", count=1)["items"]
    assert item["suggestion"] is None


def test_my_work_says_who_has_the_rest(client):
    asking = make_asking(1)
    other = as_member(client, asking)
    send(client, asking, "claims", count=1)
    Claim.objects.update(expires_at=timezone.now() + timedelta(minutes=2))
    as_member(client, asking)
    html = client.get(reverse("labeling:my_work")).content.decode()
    assert "1 item is with somebody else, next free in 2 min" in html
    assert Claim.objects.get().annotator == other


def test_an_item_that_is_no_example_any_more_leaves_the_guideline_readable(client):
    asking = make_asking(1)
    cat = LabelClass.objects.get(dataset=asking.dataset, name="cat")
    item = make_item(asking.dataset)
    use_as_example(item=item, label=cat, is_right=True)
    made = publish_guideline(dataset=asking.dataset, text="text")
    Round.objects.update(guideline=made)
    item.delete()
    as_member(client, asking)
    page = client.get(reverse("labeling:annotate", args=[asking.pk]))
    assert page.status_code == 200
    assert page.context["examples"] == []
