"""Numbers too large, characters that no database keeps, days that do not exist: an answer each."""

import json
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Annotation, Dataset, Question, Upload
from labeling.services.rounds import claim_items
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_annotate_parts import as_member, make_asking
from tests.labeling.test_api import make_program
from tests.labeling.test_rounds import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
HUGE = 10**30
LONG = "9" * 5_000  # more digits than Python reads as a number


def as_lead(client: Client, dataset: Dataset) -> None:
    client.force_login(make_member(dataset))


@pytest.mark.parametrize("text", [str(HUGE), LONG])
def test_numbers_in_addresses_that_no_row_has_lead_nowhere(client, text):
    asking = make_asking()
    as_member(client, asking)
    annotate = reverse("labeling:annotate", args=[asking.pk])
    assert client.get(annotate, {"item": text}).status_code == 200
    page = reverse("labeling:annotate_mine", args=[asking.pk])
    assert client.get(page, {"before": text}).status_code in (200, 404)


@pytest.mark.parametrize("text", [str(HUGE), LONG])
def test_items_that_no_row_has_are_made_no_check_items(client, text):
    dataset = make_dataset()
    as_lead(client, dataset)
    url = reverse("labeling:use_labels_as_gold", args=[dataset.slug])
    assert client.post(url, {"items": [text]}).status_code == 302


@pytest.mark.parametrize("door", ["renew", "release"])
def test_items_that_no_row_has_are_held_by_nobody(client, door):
    asking = make_asking()
    as_member(client, asking)
    url = reverse(f"labeling:annotate_{door}", args=[asking.pk])
    sent = json.dumps({"items": [HUGE, -HUGE]})
    reply = client.post(url, sent, content_type="application/json")
    assert reply.status_code in (200, 400)
    program = make_program(asking.dataset)
    assert program.post(f"rounds/{asking.pk}/{door}", {"items": [HUGE]}).status_code in (200, 422)


def test_an_answer_about_an_item_that_no_row_has_is_refused(client):
    asking = make_asking()
    annotator = as_member(client, asking)
    claim_items(round=asking, annotator=annotator, count=1, now=NOW)
    for item, guideline in ((HUGE, None), (asking.round_items.first().item_id, HUGE)):
        given = {"client_id": str(uuid.uuid4()), "item": item, "answer": "unsure"}
        sent = json.dumps({"answers": [{**given, "guideline": guideline}]})
        url = reverse("labeling:annotate_answers", args=[asking.pk])
        assert client.post(url, sent, content_type="application/json").status_code == 200
    program = make_program(asking.dataset)
    sent = {"client_id": str(uuid.uuid4()), "round": asking.pk, "item": HUGE, "answer": "unsure"}
    assert program.post("annotations", sent).status_code in (409, 422)
    assert program.post("annotations", {**sent, "round": HUGE}).status_code in (404, 422)
    assert Annotation.objects.count() == 1


@pytest.mark.parametrize("name", ["\x00", "\ud800"])
def test_a_class_name_that_no_database_keeps_is_unknown(name):
    asking = make_asking()
    program = make_program(asking.dataset)
    item = asking.round_items.first().item_id
    sent = {"client_id": str(uuid.uuid4()), "round": asking.pk, "item": item, "answer": "class"}
    assert program.post("annotations", {**sent, "label": name}).status_code in (400, 422)


@pytest.mark.parametrize("text", ["half an emoji \ud83d", "a nul \x00"])
def test_characters_that_no_database_keeps_are_refused(client, text):
    asking = make_asking()
    as_member(client, asking)
    url = reverse("labeling:annotate_question", args=[asking.pk])
    sent = json.dumps({"client_id": str(uuid.uuid4()), "text": text})
    reply = client.post(url, sent, content_type="application/json")
    assert reply.status_code in (200, 400)
    item = asking.round_items.first().item_id
    given = {"client_id": str(uuid.uuid4()), "item": item, "answer": "unusable", "reason": text}
    url = reverse("labeling:annotate_answers", args=[asking.pk])
    reply = client.post(url, json.dumps({"answers": [given]}), content_type="application/json")
    assert reply.status_code == 200
    for question in Question.objects.all():
        question.text.encode()


def test_json_nested_beyond_reading_is_refused(client):
    asking = make_asking()
    as_member(client, asking)
    url = reverse("labeling:annotate_answers", args=[asking.pk])
    sent = "[" * 200_000
    assert client.post(url, sent, content_type="application/json").status_code == 400


@pytest.mark.parametrize("days", [("2026-01-01", "9999-12-31"), ("0001-01-01", "2026-01-01")])
def test_a_work_record_reaches_to_the_ends_of_time(client, days):
    dataset = make_dataset()
    as_lead(client, dataset)
    url = reverse("labeling:work_record", args=[dataset.slug])
    assert client.get(url, {"start": days[0], "end": days[1]}).status_code in (200, 422)


@pytest.mark.parametrize("name", ["cat\x00", "x" * 5_000, " "])
def test_a_class_with_an_odd_name_is_added_or_refused(client, name):
    dataset = make_dataset()
    as_lead(client, dataset)
    make_item(dataset)
    upload = Upload.objects.create(dataset=dataset, name="u", path="/nowhere")
    url = reverse("labeling:apply_upload", args=[dataset.slug, upload.pk])
    assert client.post(url, {"what": "class", "name": name}).status_code == 302
    assert not dataset.classes.filter(name__in=["", " "]).exists()


@pytest.mark.parametrize("after", [str(HUGE), LONG, "-1"])
def test_a_report_behind_no_line_is_empty_or_whole(client, after):
    dataset = make_dataset()
    as_lead(client, dataset)
    upload = Upload.objects.create(dataset=dataset, name="u", path="/nowhere")
    url = reverse("labeling:upload", args=[dataset.slug, upload.pk])
    assert client.get(url, {"after": after, "q": "\x00"}).status_code == 200


@pytest.mark.parametrize("text", [str(HUGE), LONG, "\x00"])
def test_disputes_and_answers_of_no_row_lead_nowhere(client, text):
    dataset = make_dataset()
    as_lead(client, dataset)
    for name in ("labeling:crowd_answers", "labeling:crowd", "quality:disputes"):
        url = reverse(name, args=[dataset.slug])
        for field in ("round", "place", "later", "annotator", "said", "page"):
            reply = client.get(url, {field: text})
            assert reply.status_code in (200, 302, 404), (name, field)


@pytest.mark.parametrize("deadline", ["9999-12-31T23:59", "0001-01-01T00:00"])
def test_a_round_may_be_due_at_the_ends_of_time(client, deadline):
    dataset = make_dataset()
    as_lead(client, dataset)
    make_item(dataset)
    sent = {"name": "r", "kind": "classify", "which": "all", "answers_wanted": 1}
    url = reverse("labeling:new_round", args=[dataset.slug])
    reply = client.post(url, {**sent, "deadline": deadline, "confident": "nan", "keys": "\x00"})
    assert reply.status_code in (302, 422)
    reply = client.post(url, {**sent, "deadline": deadline}, follow=True)
    assert reply.status_code in (200, 422)
