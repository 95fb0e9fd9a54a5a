"""An archived dataset leaves the list and stops asking; brought back, it goes on."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.models import Round
from labeling.services.rounds import close_round, make_round
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client: Client) -> Client:
    dataset = make_dataset("pets")
    items = [make_item(dataset).pk for _ in range(2)]
    for name in ("open", "finished"):
        make_round(dataset=dataset, name=name, kind="classify", items=items, answers_wanted=1)
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
