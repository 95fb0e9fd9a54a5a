"""The API: the same services as the pages, words for every refusal."""

import json
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from labeling.models import Annotation, Dataset, Item, Job, User
from labeling.services import jobs, members
from labeling.services.intake import importing
from tests.factories import make_asking, make_dataset, make_item, make_member, make_user

pytestmark = pytest.mark.django_db


class Program:
    """A program that speaks for a user."""

    def __init__(self, user: User) -> None:
        _, self.token = members.make_token(user=user, name="test")
        self.client = Client(headers={"authorization": f"Bearer {self.token}"})

    def get(self, path: str, **asked: Any):
        return self.client.get(f"/api/{path}", asked)

    def post(self, path: str, sent: Any = None):
        return self.client.post(f"/api/{path}", json.dumps(sent), content_type="application/json")


def make_program(dataset: Dataset, role: str = "owner") -> Program:
    return Program(make_member(dataset, role))


# ---- who may ----


def test_without_a_token_every_address_answers_401_in_words(client):
    make_dataset("pets")
    for header in ({}, {"authorization": "Bearer winnow_wrong"}):
        response = client.get("/api/datasets/pets/items", headers=header)
        assert response.status_code == 401
        assert "Account page" in response.json()["detail"]


def test_being_logged_in_is_no_token(client):
    dataset = make_dataset()
    client.force_login(make_member(dataset))
    assert client.get(f"/api/datasets/{dataset.slug}/items").status_code == 401


def test_what_is_not_yours_is_not_there_in_words():
    response = Program(make_user()).get(f"datasets/{make_dataset().slug}/items")
    assert (response.status_code, response.json()["detail"]) == (404, "There is no such dataset.")


# ---- datasets and items ----


def test_whoever_makes_a_dataset_owns_it():
    user = make_user()
    response = Program(user).post(
        "datasets", {"name": "Pets", "media": "text", "classes": ["cat", "dog"]}
    )
    assert response.status_code == 201
    assert response.json()["slug"] == "pets"
    assert [row["name"] for row in response.json()["classes"]] == ["cat", "dog"]
    assert user.memberships.get().role == "owner"


def test_wrong_input_is_answered_in_words():
    response = Program(make_user()).post("datasets", {"name": "Pets", "media": "video"})
    assert response.status_code == 422
    assert "media" in response.json()["detail"]


def test_a_taken_name_is_refused():
    make_dataset("pets")
    sent = {"name": "Pets", "slug": "pets", "media": "image"}
    assert Program(make_user()).post("datasets", sent).status_code == 409


def carry_out(job: int) -> Job:
    done = jobs.carry_out(job, importing.import_upload)
    assert done is not None
    return done


def test_texts_become_items_by_the_usual_import():
    dataset = make_dataset(media="text", classes=())
    program = make_program(dataset)
    sent = [
        {"key": "a", "text": "purrs", "label": "cat", "split": "train", "group": "g1",
         "metadata": {"city": "Ulm"}},
        {"key": "b", "text": "barks", "label": "dog", "split": "test"},
        {"key": "c", "text": "sings"},
    ]  # fmt: skip
    response = program.post(f"datasets/{dataset.slug}/items", sent)
    assert response.status_code == 202, response.content
    job = carry_out(response.json()["job"])
    assert (job.result["imported"], job.result["rejected"]) == (3, 0)
    a = Item.objects.select_related("label", "content").get(dataset=dataset, key="a")
    assert (a.label.name, a.split, a.source_group, a.content.text) == (
        "cat",
        "train",
        "g1",
        "purrs",
    )
    assert a.metadata["city"] == "Ulm"
    told = program.get(f"jobs/{job.pk}").json()
    assert (told["state"], told["result"]["imported"]) == ("done", 3)


def test_files_are_stored_before_the_answer_and_imported_by_a_job():
    dataset = make_dataset(media="text", classes=())
    program = make_program(dataset)
    file = SimpleUploadedFile("texts.csv", b"key,text,label\na,purrs,cat\n")
    response = program.client.post(f"/api/datasets/{dataset.slug}/items", {"files": [file]})
    assert response.status_code == 202, response.content
    assert carry_out(response.json()["job"]).result["imported"] == 1


def test_nothing_sent_and_nonsense_sent_are_refused_in_words():
    dataset = make_dataset(media="text")
    program = make_program(dataset)
    assert program.client.post(f"/api/datasets/{dataset.slug}/items").status_code == 422
    response = program.post(f"datasets/{dataset.slug}/items", [{"text": "no key"}])
    assert response.status_code == 422
    assert "0.key" in response.json()["detail"]
    response = program.post(f"datasets/{dataset.slug}/items", {"items": []})
    assert response.json()["detail"] == "Input should be a valid array"


def test_pages_of_items_meet_without_gap_and_cost_the_same(django_assert_num_queries):
    dataset = make_dataset()
    program = make_program(dataset, "reviewer")
    keys = [make_item(dataset, f"k{n:02}", "cat" if n % 2 else None).key for n in range(25)]
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        with django_assert_num_queries(5 if after == 0 else 4):  # the first use notes the token
            page = program.get(f"datasets/{dataset.slug}/items", limit=10, after=after).json()
        seen += [item["key"] for item in page["items"]]
        after = page["next"]
    assert seen == keys
    unlabelled = program.get(f"datasets/{dataset.slug}/items", label="").json()["items"]
    assert [item["label"] for item in unlabelled] == [None] * 13


def test_a_class_or_kind_that_is_not_known_is_refused_with_those_that_are():
    dataset = make_dataset()
    program = make_program(dataset, "reviewer")
    for asked, known in (("items", "cat, dog"), ("flags", "label_error, ")):
        assert program.get(f"datasets/{dataset.slug}/{asked}").status_code == 200
        field = {"items": "label", "flags": "kind"}[asked]
        refused = program.get(f"datasets/{dataset.slug}/{asked}", **{field: "typo"})
        assert (refused.status_code, "'typo'; known: " in refused.json()["detail"]) == (400, True)
        assert known in refused.json()["detail"]


# ---- answering ----


def test_an_answer_sent_twice_counts_once():
    dataset = make_dataset()
    program = make_program(dataset, "annotator")
    items = [make_item(dataset).pk for _ in range(3)]
    make_asking(dataset, items)
    held = program.post(f"datasets/{dataset.slug}/claims", {"count": 2}).json()
    assert [item["item"] for item in held["items"]] == items[:2]
    assert "key" not in held["items"][0]
    sent = {"client_id": str(uuid.uuid4()), "round": held["round"], "item": items[0],
            "answer": "class", "label": "cat", "seconds": 1.5}  # fmt: skip
    for _ in range(2):
        response = program.post("annotations", sent)
        assert response.json() == {"client_id": sent["client_id"], "outcome": "counted"}
    assert Annotation.objects.count() == 1
    assert Item.objects.get(pk=items[0]).label.name == "cat"


def test_an_answer_that_cannot_count_is_refused_in_words():
    dataset = make_dataset()
    program = make_program(dataset, "annotator")
    asking = make_asking(dataset, [make_item(dataset)])
    outside = make_item(dataset)
    sent = {"client_id": str(uuid.uuid4()), "round": asking.pk, "item": outside.pk,
            "answer": "class", "label": "cow"}  # fmt: skip
    assert "no class named 'cow'" in program.post("annotations", sent).json()["detail"]
    response = program.post("annotations", sent | {"label": "cat"})
    assert response.status_code == 409
    assert "not in round" in response.json()["detail"]


def test_a_program_holds_items_longer_gives_them_back_and_is_told_why_there_are_none():
    dataset = make_dataset()
    one, two = make_program(dataset, "annotator"), make_program(dataset, "annotator")
    items = [make_item(dataset).pk for _ in range(2)]
    asking = make_asking(dataset, items)
    claims = f"datasets/{dataset.slug}/claims"
    assert len(one.post(claims, {"round": asking.pk}).json()["items"]) == 2
    refused = two.post(claims, {"round": asking.pk}).json()
    assert refused["items"] == []
    assert refused["waiting"]["words"].startswith("Nothing free just now: 2 items are with others")
    held = one.post(f"rounds/{asking.pk}/renew", {"items": [*items, 10**6]}).json()
    assert sorted(held["items"]) == items
    assert two.post(f"rounds/{asking.pk}/renew", {"items": items}).json()["items"] == []
    back = one.post(f"rounds/{asking.pk}/release", {"items": items[:1]}).json()
    assert back == {"released": 1}
    (got,) = two.post(claims, {"round": asking.pk}).json()["items"]
    assert got["item"] == items[0]


def test_a_program_that_names_no_round_is_given_what_is_free_in_any():
    dataset = make_dataset()
    one, two = make_program(dataset, "annotator"), make_program(dataset, "annotator")
    items = [make_item(dataset).pk for _ in range(3)]
    for asked in (items[:2], items[2:]):
        make_asking(dataset, asked)
    claims = f"datasets/{dataset.slug}/claims"
    got = [one.post(claims, {"count": 2}).json() for _ in range(3)]
    assert [[row["item"] for row in reply["items"]] for reply in got] == [items[:2], items[2:], []]
    refused = two.post(claims, {}).json()
    assert refused["waiting"]["words"].startswith("Nothing free just now: 2 items are with others")


def test_a_program_is_told_which_label_to_verify_and_never_its_own():
    dataset = make_dataset()
    program = make_program(dataset, "annotator")
    item = make_item(dataset, label="cat").pk
    sent = {"client_id": str(uuid.uuid4()), "item": item, "answer": "class", "label": "cat"}
    for kind in ("verify", "classify", "verify"):
        asking = make_asking(dataset, [item], name=kind, kind=kind)
        reply = program.post(f"datasets/{dataset.slug}/claims", {"round": asking.pk}).json()
        if kind == "verify" and reply["items"]:
            assert reply["items"][0]["asked"]["name"] == "cat"
        sent |= {"round": asking.pk, "client_id": str(uuid.uuid4())}
        last = program.post("annotations", sent)
    assert reply["items"] == []
    assert last.status_code == 409
    assert "somebody else must verify it" in last.json()["detail"]


# ---- its page ----


def test_the_api_describes_itself_on_a_page_without_foreign_scripts(client):
    page = client.get("/api/docs").content.decode()
    paths = client.get("/api/openapi.json").json()["paths"]
    assert len(paths) == 18
    assert all(path in page for path in paths)
    assert "cdn" not in page
