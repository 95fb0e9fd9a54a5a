"""Rounds with real media for the browser tests of the annotation screen, and who answers them."""

import io
import math
import struct
import wave
from typing import Any

from django.conf import settings
from django.test import Client
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from labeling import storage
from labeling.models import Claim, Content, Dataset, Guideline, Item, LabelClass, Round, User
from labeling.services.rounds import make_round
from tests.conftest import PATIENCE_MS
from tests.factories import make_dataset, make_member

STEP_MS = 50
GIVES_UP_MS = 5000  # the first of a screen's requests to an address; also when it looks again


def picture(number: int) -> bytes:
    image = Image.new("RGB", (480, 600), ((number * 67) % 256, 150, (number * 31) % 256))
    ImageDraw.Draw(image).ellipse((90, 120, 390, 480), fill=(240, 230, (number * 91) % 256))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def tone(number: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        heard = (math.sin(step * 0.1 * (1 + number)) * 12000 for step in range(3200))
        file.writeframes(b"".join(struct.pack("<h", int(level)) for level in heard))
    return buffer.getvalue()


def content_of(media: str, number: int) -> Content:
    if media == "text":
        text = f"I still have not got my card, number {number}. Where is it?"
        original, more = text.encode(), {"type": "text", "mime": "text/plain", "text": text}
    elif media == "audio":
        original = tone(number)
        peaks = storage.write_bytes(bytes([90 - number, 165 + number] * 200))
        more = {"type": "wav", "mime": "audio/wav", "facts": {"seconds": 0.4}}
        more |= {"preview": peaks, "preview_mime": "application/octet-stream"}
    else:
        original = picture(number)
        sha256 = storage.write_bytes(original)
        more = {"type": "jpeg", "mime": "image/jpeg", "facts": {"width": 480, "height": 600}}
        more |= {"preview": sha256, "preview_mime": "image/jpeg"}
    sha256 = storage.write_bytes(original)
    return Content.objects.get_or_create(sha256=sha256, defaults={"size": len(original), **more})[0]


GUIDELINE = """**Skirt** has one opening at the hem and no top part. **Shorts** have two legs that
end above the knee.

- Answer for the garment that fills most of the frame.
- <script>alert(1)</script> is only text.
"""
CLASSES = ("Dress", "Hat", "Long sleeve", "Outerwear", "Pants")
CLASSES += ("Shirt", "Shoes", "Shorts", "Skirt", "T-shirt")


def make_asking(
    media: str = "image",
    *,
    items: int = 12,
    wanted: int = 1,
    kind: str = "classify",
    classes: tuple[str, ...] = CLASSES,
    suggesting: str = "off",
) -> Round:
    dataset = make_dataset(media=media, classes=classes, question="What is the main garment?")
    Guideline.objects.create(dataset=dataset, number=3, text=GUIDELINE)
    label = LabelClass.objects.filter(dataset=dataset).last() if kind == "verify" else None
    rows = [
        Item.objects.create(
            dataset=dataset,
            key=f"train/secret-class/{number}",
            content=content_of(media, number),
            label=label,
            label_source="import" if label else "",
        )
        for number in range(items)
    ]
    return make_round(
        dataset=dataset,
        name="Round 4",
        kind=kind,
        items=[row.pk for row in rows],
        answers_wanted=wanted,
        suggesting=suggesting,
    )


def log_in(context: Any, url: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])


def shown(page: Any) -> int:
    return int(page.get_attribute("#annotate", "data-item"))


def nothing_waits(page: Any) -> None:
    expect(page.locator("#sending")).to_have_text("")  # it is shown only when that takes long


def holds_claims(page: Any, count: int) -> None:
    """Let the page go on until so many items are held."""
    for _ in range(PATIENCE_MS // STEP_MS):
        if Claim.objects.count() == count:
            return
        page.wait_for_timeout(STEP_MS)
    raise AssertionError(f"{Claim.objects.count()} items are held, not {count}")


def open_queue(page: Any, live_server: Any, dataset: Dataset, kind: str = "label_error") -> User:
    user = make_member(dataset)
    log_in(page.context, live_server.url, user)
    page.goto(f"{live_server.url}/d/{dataset.slug}/review/{kind}/")
    page.wait_for_load_state("networkidle")
    seen(page)
    return user


def seen(page: Any) -> None:
    """Wait until the flag has been on the screen long enough to be decided about."""
    page.wait_for_selector("#flag[data-seen]", state="attached")
