"""The annotation screen in Chromium: one key answers at once, and nothing is ever lost."""

import io
import math
import re
import struct
import wave
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from labeling import storage
from labeling.models import (
    Annotation,
    Claim,
    Content,
    Guideline,
    Item,
    LabelClass,
    Round,
    RoundItem,
    User,
)
from labeling.services.rounds import make_round
from tests.factories import make_dataset, make_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AT_ONCE_MS = 100


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
    )


def log_in(context: Any, url: str, user: User) -> None:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": url}
    context.add_cookies([cookie])


@pytest.fixture
def annotating(live_server: Any, page: Any) -> Callable[[Round], tuple[Any, User]]:
    """Open a round's screen as a fresh annotator, with its first item shown."""

    def open_round(asking: Round) -> tuple[Any, User]:
        user = make_member(asking.dataset, "annotator")
        log_in(page.context, live_server.url, user)
        page.goto(f"{live_server.url}/annotate/{asking.pk}/")
        page.wait_for_selector("#annotate[data-item]")
        return page, user

    return open_round


def shown(page: Any) -> int:
    return int(page.get_attribute("#annotate", "data-item"))


def nothing_waits(page: Any) -> None:
    expect(page.locator("#sending")).to_be_hidden(timeout=15_000)


def test_one_key_answers_and_the_next_item_is_there_at_once(annotating: Any) -> None:
    asking = make_asking()
    page, _ = annotating(asking)
    page.wait_for_timeout(500)
    # 150 ms on every request: the answer must not wait for the server.
    page.route("**/annotate/**", lambda route: (page.wait_for_timeout(150), route.continue_()))
    page.evaluate(
        """() => { window.times = [];
        addEventListener("keydown", () => {
          const start = performance.now(), before = annotate.dataset.item;
          const look = () => { const image = document.querySelector("#stage img");
            if (annotate.dataset.item !== before && image?.complete && image.naturalWidth)
              window.times.push(performance.now() - start); else requestAnimationFrame(look); };
          requestAnimationFrame(look); }, true); }"""
    )
    for key in ("Digit1", "Digit2", "Digit0", "Numpad3"):
        before = shown(page)
        page.keyboard.press(key)
        page.wait_for_function(f"annotate.dataset.item != {before}")
        page.wait_for_timeout(700)
    times = page.evaluate("window.times")
    nothing_waits(page)
    said = list(Annotation.objects.order_by("pk").values_list("label__name", flat=True))
    assert said == ["Dress", "Hat", "T-shirt", "Long sleeve"]
    assert len(times) == 4
    assert max(times) < AT_ONCE_MS, times


def test_nothing_on_the_page_hints_at_the_answer(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    assert "secret-class" not in page.content()
    assert page.evaluate("document.activeElement.closest('#answers')") is None


def test_undo_skip_unsure_and_unusable(annotating: Any) -> None:
    asking = make_asking(items=6)
    page, _ = annotating(asking)
    first = shown(page)
    page.keyboard.press("Digit9")
    expect(page.locator("#undo")).to_contain_text("Skirt")
    nothing_waits(page)
    page.keyboard.press("KeyZ")
    assert shown(page) == first
    page.keyboard.press("KeyU")
    page.keyboard.press("KeyS")
    page.keyboard.press("KeyX")
    page.keyboard.press("Digit2")
    nothing_waits(page)
    rows = Annotation.objects.order_by("pk").values_list("answer", "reason", "withdrawn_at")
    kept = [(answer, reason) for answer, reason, withdrawn in rows if withdrawn is None]
    assert kept == [("unsure", ""), ("skip", ""), ("unusable", "nothing of what is asked for")]
    assert Annotation.objects.get(label__name="Skirt").withdrawn_at is not None
    row = RoundItem.objects.get(item_id=first)
    assert (row.taken, row.state) == (1, "disputed")


def test_answers_given_offline_arrive_exactly_once(annotating: Any) -> None:
    asking = make_asking(items=5)
    page, _ = annotating(asking)
    page.wait_for_timeout(500)
    page.context.set_offline(True)
    for _ in range(3):
        page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_have_text("Offline: 3 kept here")
    page.keyboard.press("KeyZ")
    expect(page.locator("#sending")).to_have_text("Offline: 2 kept here")
    page.context.set_offline(False)
    nothing_waits(page)
    assert Annotation.objects.count() == 2


def test_a_reply_that_is_lost_makes_no_second_answer(annotating: Any) -> None:
    asking = make_asking(items=3)
    page, _ = annotating(asking)
    lost: list[int] = []

    def lose_the_first(route: Any) -> None:
        if lost:
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort()

    page.route("**/answers/", lose_the_first)
    page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_contain_text("Offline: 1")
    nothing_waits(page)
    assert lost == [200]
    assert Annotation.objects.count() == 1


def test_a_killed_tab_keeps_its_answers_for_the_next_one(annotating: Any) -> None:
    asking = make_asking(items=5)
    page, _ = annotating(asking)
    page.wait_for_timeout(500)
    page.route("**/answers/", lambda route: route.abort())
    page.keyboard.press("Digit1")
    page.keyboard.press("Digit2")
    expect(page.locator("#sending")).to_contain_text("2 ")
    again = page.context.new_page()
    page.close()
    again.goto(page.url)
    again.wait_for_selector("#annotate[data-item]")
    nothing_waits(again)
    assert Annotation.objects.count() == 2
    answered = set(Annotation.objects.values_list("item_id", flat=True))
    assert shown(again) not in answered


def test_an_expired_session_keeps_the_answers_until_the_person_is_back(
    annotating: Any, live_server: Any
) -> None:
    asking = make_asking(items=6)
    page, user = annotating(asking)
    page.wait_for_timeout(500)
    Session.objects.all().delete()
    page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_contain_text("Logged out: 1 kept here. Log in again")
    page.keyboard.press("Digit2")
    with page.context.expect_page() as opening:
        page.click("#sending a")
    login = opening.value
    login.fill("[name=username]", user.username)
    login.fill("[name=password]", "correct horse")
    login.keyboard.press("Enter")
    login.wait_for_url(re.compile("/annotate/"))
    login.close()
    nothing_waits(page)
    page.keyboard.press("Digit3")
    nothing_waits(page)
    assert sorted(Annotation.objects.values_list("label__name", flat=True)) == [
        "Dress",
        "Hat",
        "Long sleeve",
    ]


def test_a_closing_tab_gives_its_items_back(annotating: Any) -> None:
    asking = make_asking(items=8)
    page, _ = annotating(asking)
    page.wait_for_timeout(500)
    assert Claim.objects.count() == 5
    page.goto("about:blank")
    page.wait_for_timeout(500)
    assert Claim.objects.count() == 0
    assert set(RoundItem.objects.values_list("taken", flat=True)) == {0}


def test_nothing_free_says_who_has_the_rest_and_done_says_so(annotating: Any) -> None:
    asking = make_asking(items=2)
    page, _ = annotating(asking)
    other = make_member(asking.dataset, "annotator")
    from labeling.services.annotations import annotator_for

    held = annotator_for(dataset=asking.dataset, user=other)
    page.keyboard.press("Digit1")
    nothing_waits(page)
    Claim.objects.update(annotator=held)
    page.reload()
    expect(page.locator("#blank")).to_contain_text("Nothing free just now")
    expect(page.locator("#blank")).to_contain_text(
        "1 item is with somebody else, next free in 5 min"
    )
    Claim.objects.all().delete()
    page.reload()
    expect(page.locator("#blank")).to_contain_text("All done")


def test_many_classes_are_searched_and_enter_takes_the_first(annotating: Any) -> None:
    classes = tuple(f"intent {number}" for number in range(77))
    page, _ = annotating(make_asking("text", classes=classes))
    expect(page.locator("#stage")).to_contain_text("my card")
    page.keyboard.press("Slash")
    page.keyboard.type("intent 42")
    page.keyboard.press("Enter")
    nothing_waits(page)
    assert Annotation.objects.get().label.name == "intent 42"


def test_a_clip_is_accepted_only_after_it_was_heard(annotating: Any) -> None:
    asking = make_asking("audio", kind="verify", classes=("one", "two", "seven"))
    page, _ = annotating(asking)
    expect(page.locator("#question")).to_have_text("Is this “seven”?")
    expect(page.locator("#yes")).to_be_disabled()
    page.keyboard.press("Digit1")  # refused and corrected at once
    page.keyboard.press("KeyY")
    page.keyboard.press("Space")
    expect(page.locator("#yes")).to_be_enabled()
    page.keyboard.press("KeyY")
    nothing_waits(page)
    said = list(Annotation.objects.order_by("pk").values_list("label__name", flat=True))
    assert said == ["one", "seven"]


def test_plus_zooms_and_g_hides_the_guideline(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    width = page.locator("#stage img").bounding_box()["width"]
    page.keyboard.press("Equal")
    assert page.locator("#stage img").bounding_box()["width"] == pytest.approx(2 * width, rel=0.1)
    page.keyboard.press("Minus")
    assert page.locator("#guideline strong").first.inner_text() == "Skirt"
    assert "<script>alert(1)</script>" in page.locator("#guideline").inner_text()
    page.keyboard.press("KeyG")
    expect(page.locator("#guideline")).to_be_hidden()
    page.reload()
    expect(page.locator("#guideline")).to_be_hidden()
    page.keyboard.press("KeyG")
    expect(page.locator("#guideline")).to_be_visible()


def test_the_phone_answers_by_touch(browser: Any, live_server: Any) -> None:
    asking: Round = make_asking(items=3)
    user = make_member(asking.dataset, "annotator")
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    log_in(context, live_server.url, user)
    page = context.new_page()
    page.goto(f"{live_server.url}/work/")
    page.tap("text=Start")
    page.wait_for_selector("#annotate[data-item]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap("text=Shoes")
    nothing_waits(page)
    assert Annotation.objects.get().label.name == "Shoes"
    context.close()


@pytest.mark.parametrize("media", ["image", "audio", "text"])
def test_axe_finds_nothing_serious(annotating: Any, media: str) -> None:
    dataset_round: Round = make_asking(media, kind="verify" if media == "audio" else "classify")
    page, _ = annotating(dataset_round)
    page.keyboard.press("Digit1")
    axe = (settings.BASE_DIR / "static/vendor/axe.min.js").read_text()
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((result) => result.violations)")
    serious = [row for row in found if row["impact"] in ("serious", "critical")]
    assert [(row["id"], row["nodes"][0]["html"]) for row in serious] == []
