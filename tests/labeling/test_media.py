"""Bytes of items: kept by browsers only under an address that names them."""

import hashlib
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling import storage
from labeling.models import Content, Item
from labeling.services import members
from tests.factories import make_dataset, make_item, make_member, make_user
from tests.quality.words import add_text

pytestmark = pytest.mark.django_db


@pytest.fixture
def item() -> Item:
    made = make_item(make_dataset(), "a.png")
    give(made, b"one")
    return made


def give(item: Item, content: bytes) -> None:
    sha256 = storage.write_bytes(content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    facts = {"type": "png", "mime": "image/png", "size": len(content)}
    item.content = Content.objects.create(sha256=sha256, **facts)
    item.save(update_fields=["content"])


def test_an_address_that_names_the_bytes_is_kept_and_no_other(client: Any, item: Item) -> None:
    client.force_login(make_member(item.dataset, "annotator"))
    address = reverse("labeling:media", args=[item.dataset.slug, item.pk, "preview"])
    lasting = f"{address}?v={item.content_mark}"
    assert "immutable" in client.get(lasting)["Cache-Control"]
    assert client.get(address)["Cache-Control"] == "private, no-cache"
    give(item, b"another")
    assert client.get(lasting)["Cache-Control"] == "private, no-cache"


def test_a_range_is_answered_with_its_part(client: Any, item: Item) -> None:
    client.force_login(make_member(item.dataset, "annotator"))
    address = reverse("labeling:media", args=[item.dataset.slug, item.pk, "original"])
    part = client.get(address, headers={"range": "bytes=1-"})
    assert (part.status_code, part["Content-Range"]) == (206, "bytes 1-2/3")
    assert b"".join(part) == b"ne"


def test_a_token_opens_what_the_api_names_and_a_revoked_one_does_not(client: Any, item: Item):
    token, text = members.make_token(user=make_member(item.dataset, "annotator"), name="robot")
    address = reverse("labeling:media", args=[item.dataset.slug, item.pk, "original"])
    assert b"".join(client.get(address, headers={"authorization": f"Bearer {text}"})) == b"one"
    members.revoke_token(token=token, now=timezone.now())
    for sent in (f"Bearer {text}", "Bearer", "Basic abc", ""):
        assert client.get(address, headers={"authorization": sent}).status_code == 401
    _, strange = members.make_token(user=make_user(), name="robot")
    headers = {"authorization": f"Bearer {strange}"}
    assert client.get(address, headers=headers).status_code == 404


def test_a_text_is_sent_as_plain_text_that_runs_nothing(client: Any):
    dataset = make_dataset(media="text")
    text = "<script>alert(1)</script>"
    item = add_text(dataset, "1", text=text, label=None)
    client.force_login(make_member(dataset, "annotator"))
    response = client.get(reverse("labeling:media", args=[dataset.slug, item.pk, "original"]))
    assert response.content.decode() == text
    assert response["Content-Type"].startswith("text/plain")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
