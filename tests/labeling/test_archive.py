"""An archived dataset leaves the list and stops asking; brought back, it goes on."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.models import Dataset, Item, Job, Round
from labeling.queries.crowd import crowds_to_measure
from labeling.services import jobs
from labeling.services.rounds import close_round
from tests.factories import make_asking, make_dataset, make_item, make_member
from tests.labeling.test_rounds import answer, make_annotator

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client: Client) -> Client:
    dataset = make_dataset("pets")
    items = [make_item(dataset).pk for _ in range(2)]
    for name in ("open", "finished"):
        make_asking(dataset, items, name=name)
    close_round(asking=Round.objects.get(name="finished"), now=timezone.now())
    client.force_login(make_member(dataset, "owner"))
    return client


def send(client: Client, name: str) -> str:
    return client.post(reverse(f"labeling:{name}", args=["pets"]), follow=True).text


def test_an_archived_dataset_leaves_the_list_and_my_work_and_keeps_its_pages(owner: Client):
    assert "Bring it back" in send(owner, "archive_dataset")
    shown = owner.get("/")
    assert "pets" not in [row.slug for row in shown.context["datasets"]]
    assert "1 archived dataset" in shown.text
    assert [row.slug for row in owner.get("/?show=archived").context["datasets"]] == ["pets"]
    assert owner.get("/work/").context["work"] == []
    assert owner.get("/d/pets/browse/").status_code == 200


def test_one_click_brings_it_back_with_the_rounds_that_it_stopped(owner: Client):
    send(owner, "archive_dataset")
    send(owner, "archive_dataset")  # pressed twice, or by two owners
    assert not Round.objects.filter(closed_at__isnull=True).exists()
    send(owner, "bring_back_dataset")
    assert list(Round.objects.filter(closed_at__isnull=True).values_list("name", flat=True)) == [
        "open"
    ]
    assert [row.slug for row in owner.get("/").context["datasets"]] == ["pets"]
    send(owner, "bring_back_dataset")
    assert Round.objects.filter(closed_at__isnull=False).get().name == "finished"


def test_the_archive_of_somebody_without_one_says_what_it_is(owner: Client):
    assert "Nothing is archived" in owner.get("/?show=archived").text


def test_an_archived_dataset_is_not_worked_on_and_says_how_it_goes_on(owner: Client):
    send(owner, "archive_dataset")
    for address in ("runs/train/", "checks/detect/", "crowd/measure/"):
        assert "An owner can bring it back" in owner.post(f"/d/pets/{address}", follow=True).text
    finished = Round.objects.get(name="finished")
    again = reverse("labeling:reopen_round", args=["pets", finished.pk])
    assert "An owner can bring it back" in owner.post(again, follow=True).text
    new = {"kind": "classify", "name": "More", "which": "all", "answers_wanted": 1}
    asked = owner.post("/d/pets/rounds/new/", {**new, "order": "listed", "suggesting": "off"})
    assert asked.status_code == 422
    assert "An owner can bring it back" in asked.text
    assert not Job.objects.exists()
    dataset = Dataset.objects.get()
    assert jobs.open_job(kind="take_back", dataset=dataset), "what was imported can be taken back"
    assert not Round.objects.filter(closed_at__isnull=True).exists()


def test_the_clock_starts_no_work_on_an_archived_dataset(owner: Client):
    dataset = Dataset.objects.get()
    asking = Round.objects.get(name="open")
    item = Item.objects.first()
    assert item
    annotator = make_annotator(asking)
    answer(asking, item, annotator)
    later = timezone.now() + timedelta(hours=2)
    assert crowds_to_measure(now=later) == [dataset]
    send(owner, "archive_dataset")
    assert crowds_to_measure(now=later) == []
