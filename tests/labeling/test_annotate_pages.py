"""My work, rounds and the JSON doors of the annotation screen: who gets in, what it costs."""

import json
import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotation, Claim, Guideline, Item, LabelClass, Round, User
from labeling.queries import rounds as queries
from labeling.services.rounds import close_round
from labeling.templatetags.markdown import markdown
from tests import factories
from tests.factories import make_dataset, make_item, make_member, make_user

pytestmark = pytest.mark.django_db


def make_asking(items: int = 3, **fields: object) -> Round:
    dataset = make_dataset()
    asked = [make_item(dataset, label="cat").pk for _ in range(items)]
    return factories.make_asking(dataset, asked, **fields)


def logged_in(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def send(client: Client, asking: Round, door: str, **body: object):
    url = reverse(f"labeling:annotate_{door}", args=[asking.pk])
    return client.post(url, json.dumps(body), content_type="application/json")


def answer_to(item: int, **fields: object) -> dict[str, object]:
    return {"client_id": str(uuid.uuid4()), "item": item, "answer": "unsure", **fields}


def test_claim_answer_and_undo_over_http(client):
    asking = make_asking(2)
    logged_in(client, make_member(asking.dataset, "annotator"))
    first, second = send(client, asking, "claims", count=5).json()["items"]
    cat = LabelClass.objects.get(dataset=asking.dataset, name="cat")
    given = answer_to(first["item"], answer="class", label=cat.pk, seconds=1.5)
    bad = answer_to(second["item"], answer="class")
    results = send(client, asking, "answers", answers=[given, bad]).json()["answers"]
    assert [result["outcome"] for result in results] == ["counted", "refused"]
    assert Annotation.objects.get().seconds == 1.5
    assert send(client, asking, "withdraw", client_id=given["client_id"]).json() == {"held": True}
    assert Claim.objects.count() == 2
    held = send(client, asking, "renew", items=[first["item"], 10**6]).json()["held"]
    assert held == [first["item"]]
    released = send(client, asking, "release", items=[first["item"], second["item"]])
    assert released.json() == {"released": 2}


def test_a_closing_tab_releases_by_a_form(client):
    asking = make_asking(1)
    logged_in(client, make_member(asking.dataset, "annotator"))
    (item,) = send(client, asking, "claims", count=1).json()["items"]
    url = reverse("labeling:annotate_release", args=[asking.pk])
    assert client.post(url, {"items": json.dumps([item["item"]])}).json() == {"released": 1}


def test_what_is_shown_of_an_item_never_names_its_key_or_label(client):
    asking = make_asking(1)
    logged_in(client, make_member(asking.dataset, "annotator"))
    (item,) = send(client, asking, "claims", count=1).json()["items"]
    assert set(item) == {
        *("item", "media", "peaks", "seconds", "peak", "width", "text", "suggestion")
    }
    assert item["suggestion"] is None


def test_a_verify_round_says_which_label_is_asked_about(client):
    asking = make_asking(1, kind="verify")
    logged_in(client, make_member(asking.dataset, "annotator"))
    (item,) = send(client, asking, "claims", count=1).json()["items"]
    assert item["asked"]["name"] == "cat"


def test_the_doors_answer_401_when_logged_out_and_404_to_strangers(client):
    asking = make_asking()
    assert send(client, asking, "claims", count=1).status_code == 401
    assert client.get(reverse("labeling:annotate_status", args=[asking.pk])).status_code == 401
    logged_in(client, make_user())
    for door in ("claims", "answers", "withdraw", "release", "renew", "skipped"):
        strange = send(client, asking, door)
        assert (strange.status_code, strange.json()) == (404, {"error": "gone"})
    assert client.get(reverse("labeling:annotate", args=[asking.pk])).status_code == 404


def test_answers_of_one_person_are_not_taken_from_another(client):
    asking = make_asking()
    logged_in(client, make_member(asking.dataset, "annotator"))
    reply = send(client, asking, "answers", user=10**6, answers=[])
    assert reply.status_code == 409


def test_the_doors_want_the_csrf_token():
    asking = make_asking()
    client = logged_in(Client(enforce_csrf_checks=True), make_member(asking.dataset, "annotator"))
    assert send(client, asking, "claims", count=1).status_code == 403


@pytest.mark.parametrize(
    ("door", "body"),
    [
        ("claims", {"count": 0}),
        ("answers", {"answers": "all"}),
        ("withdraw", {"client_id": "7"}),
        ("renew", {"items": ["1"]}),
    ],
)
def test_what_makes_no_sense_is_refused(client, door, body):
    asking = make_asking()
    logged_in(client, make_member(asking.dataset, "annotator"))
    assert send(client, asking, door, **body).status_code == 400


def test_an_annotator_who_is_not_named_does_not_see_the_round(client):
    dataset = make_dataset()
    named, other = (make_member(dataset, "annotator") for _ in range(2))
    asking = factories.make_asking(dataset, [make_item(dataset)], people=[named])
    page = reverse("labeling:annotate", args=[asking.pk])
    assert logged_in(client, other).get(page).status_code == 404
    assert "Nothing waits for you" in client.get(reverse("labeling:my_work")).content.decode()
    assert logged_in(client, named).get(page).status_code == 200


def test_my_work_says_what_is_left_and_done(client):
    asking = make_asking(3)
    user = logged_in(client, make_member(asking.dataset, "annotator")) and asking
    page = reverse("labeling:my_work")
    assert "3</b> items left for you" in client.get(page).content.decode()
    (item,) = send(client, user, "claims", count=1).json()["items"]
    send(client, user, "answers", answers=[answer_to(item["item"], seconds=4)])
    html = client.get(page).content.decode()
    assert "2</b> items left for you" in html
    assert "1 answer today" in html
    close_round(asking=asking, now=timezone.now())
    assert "1 answer today" in client.get(page).content.decode()


def test_a_lead_makes_a_round_and_closes_and_reopens_it(client):
    dataset = make_dataset()
    make_item(dataset), make_item(dataset, label="cat")
    logged_in(client, make_member(dataset, "lead"))
    assert "No rounds yet" in client.get(f"/d/{dataset.slug}/rounds/").content.decode()
    form = {"name": "Round 1", "kind": "classify", "which": "unlabelled", "answers_wanted": 2}
    made = client.post(f"/d/{dataset.slug}/rounds/new/", form)
    asking = Round.objects.get()
    assert made.url == f"/d/{dataset.slug}/rounds/{asking.pk}/"
    assert asking.round_items.count() == 1
    client.post(f"{made.url}close/")
    assert "Reopen" in client.get(made.url).content.decode()
    client.post(f"{made.url}reopen/")
    asking.refresh_from_db()
    assert asking.closed_at is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"which": "keys"}, "Name at least one key"),
        ({"which": "keys", "keys": "no such"}, "No item has the key no such"),
        ({"kind": "verify"}, "None of these items can be asked about"),
    ],
)
def test_a_round_without_items_is_not_made(client, change, words):
    dataset = make_dataset()
    make_item(dataset)
    logged_in(client, make_member(dataset, "lead"))
    form = {"name": "r", "kind": "classify", "which": "all", "answers_wanted": 1, **change}
    reply = client.post(f"/d/{dataset.slug}/rounds/new/", form)
    assert reply.status_code == 422
    assert words in reply.content.decode()
    assert not Round.objects.exists()


def test_excluded_items_named_by_key_are_told_with_the_way_back(client):
    dataset = make_dataset()
    for key in ("in", "out", "also out"):
        make_item(dataset, key, excluded="" if key == "in" else "blurred")
    logged_in(client, make_member(dataset, "lead"))
    form = {"name": "r", "kind": "classify", "which": "keys", "answers_wanted": 1}
    address = f"/d/{dataset.slug}/rounds/new/"
    refused = client.post(address, {**form, "keys": "out\nalso out"})
    assert refused.status_code == 422
    assert "All 2 items are excluded" in refused.text
    assert "“Include again”" in refused.text
    made = client.post(address, {**form, "keys": "in\nout"}, follow=True)
    assert "1 item is excluded and left out." in made.text
    asking = Round.objects.get()
    extended = client.post(f"{address[:-4]}{asking.pk}/extend/", {"keys": "out"})
    assert extended.status_code == 422
    assert "The item is excluded" in extended.text
    assert [row.item.key for row in asking.round_items.all()] == ["in"]


def test_items_of_withdrawn_consent_are_not_said_to_come_back():
    dataset = make_dataset()
    now = timezone.now()
    gone = [make_item(dataset, str(n), excluded="withdrawn", withdrawn_at=now).pk for n in (1, 2)]
    alone = queries.all_excluded(dataset, gone)
    assert "Consent for 2 was withdrawn: they do not come back." in alone
    assert "Include again" not in alone
    both = queries.all_excluded(dataset, [*gone, make_item(dataset, "out", excluded="blurred").pk])
    assert both.startswith("All 3 items are excluded")
    assert "Consent for 2 was withdrawn" in both
    assert "“Include again”" in both


def test_the_round_page_lists_people_and_disputes_at_a_fixed_cost(
    client, django_assert_max_num_queries
):
    asking = make_asking(20)
    lead = make_member(asking.dataset, "lead")

    def page_after(answers: int) -> tuple[int, str]:
        logged_in(client, make_member(asking.dataset, "annotator"))
        for item in send(client, asking, "claims", count=answers).json()["items"]:
            send(client, asking, "answers", answers=[answer_to(item["item"])])
        logged_in(client, lead)
        with django_assert_max_num_queries(18) as counted:
            html = client.get(f"/d/{asking.dataset.slug}/rounds/{asking.pk}/").content.decode()
        return len(counted), html

    first, _ = page_after(4)
    second, html = page_after(8)
    assert first == second
    key = Item.objects.filter(dataset=asking.dataset).first().key
    assert key in html
    assert html.count("unsure") - html.count("answer=unsure") == 12


def test_claiming_and_answering_cost_a_fixed_number_of_queries(
    client, django_assert_max_num_queries
):
    asking = make_asking(30)
    logged_in(client, make_member(asking.dataset, "annotator"))
    send(client, asking, "claims", count=1)
    with django_assert_max_num_queries(12):  # PostgreSQL: one more, a lock on this person
        items = send(client, asking, "claims", count=5).json()["items"]
    with django_assert_max_num_queries(12):
        send(client, asking, "answers", answers=[answer_to(items[0]["item"])])


def test_classes_have_keys_as_long_as_there_are_any_and_reserved_ones_are_not_taken():
    dataset = make_dataset(classes=())
    for position, key in enumerate(["", "Digit1", "KeyS", "KeyQ", *[""] * 24]):
        LabelClass.objects.create(dataset=dataset, name=f"c{position}", key=key, position=position)
    codes = [choice.code for choice in queries.choices(dataset)]
    assert codes[:5] == ["Digit2", "Digit1", "Digit3", "KeyQ", "Digit4"]
    assert codes[9:12] == ["Digit9", "Digit0", "KeyW"]
    assert codes[25:] == ["", "", ""]
    used = [code for code in codes if code]
    assert len(set(used)) == len(used) == 25


def test_the_guideline_is_markdown_without_anything_that_runs(client):
    asking = make_asking()
    Guideline.objects.create(dataset=asking.dataset, number=1, text="x")
    html = markdown(
        "**bold** <img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](https://b.org)"
    )
    assert "<strong>bold</strong>" in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="https://b.org"' in html
