"""The frame of every page in a real browser: keys, theme, notices, all under the strict policy."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.template import engines

STATIC = Path(__file__).resolve().parent.parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = "default-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'"
ADDRESS = "http://winnow.test/"
PARTS = """{% extends "base.html" %}{% block title %}Parts{% endblock %}
{% block main %}<div class="page stack"><h1>Parts</h1>
<button class="btn-w" id="random" data-key="KeyR" data-key-label="100 at random">Random</button>
<button class="btn-w" id="one" data-key="Digit1" data-key-label="First">One</button>
<button class="btn-w" id="off" data-key="KeyX" disabled>Exclude</button>
<input class="form-control" id="search" aria-label="Search" data-key="Slash">
<a id="get" href="#" hx-get="/part" hx-target="#here">Load</a><div id="here"></div>
{% include "_interval.html" with value=0.667 low=0.626 high=0.714 label="Accuracy" %}
{% include "_bars.html" with rows=rows most=2 %}
{% include "_histogram.html" with rows=rows most=2 name="Sizes" first="0" last="9" %}
<table class="table-w" id="seen"><tr><th>Item</th><th>Answer</th></tr>
<tr><td class="beside"><img class="thumb" alt=""></td><td>Unsure</td></tr></table>
<nav class="segmented" aria-label="Order">{% for word in orders %}<a class="btn-w btn-sm" href="#">
{{ word }}</a>{% endfor %}</nav>
{% include "_empty.html" with title="Nothing" sentence="Not yet." %}</div>{% endblock %}"""
ROWS = [
    {"label": "Shirt", "value": 2, "text": "+2", "note": 9, "url": "#a"},
    {"label": "Hat", "value": -1, "text": "−1", "note": 3, "url": "#b"},
]


# Sections that stand wholly in sight, but for what the fade at an end shows half.
CUT = """() => { const bar = document.querySelector(".tabs"), box = bar.getBoundingClientRect();
  return [...bar.children].filter((tab) => { const { left, right } = tab.getBoundingClientRect();
    return left < box.left - 1 || right > box.right + 1; }).map((tab) => tab.textContent); }"""


def parts_page(**more: Any) -> str:
    user = SimpleNamespace(is_authenticated=True, is_staff=True, get_username=lambda: "maria.lang")
    context = {"user": user, "rows": ROWS, "workers_alive": 0, "csrf_token": "token", **more}
    context["orders"] = ("most answers", "least accurate", "fastest", "most unsure", "latest")
    return engines["django"].from_string(PARTS).render(context)


@pytest.fixture
def opened(page: Any) -> Any:
    """The parts page, open; clicks are counted in `window.clicked`, refusals of the policy too."""
    serve(page, parts_page())
    page.add_init_script(
        "window.clicked = []; window.refused = [];"
        "document.addEventListener('click', (e) => window.clicked.push(e.target.id));"
        "document.addEventListener('securitypolicyviolation',"
        " (e) => window.refused.push(e.violatedDirective + ' ' + e.blockedURI));"
    )
    page.goto(ADDRESS)
    page.wait_for_function("document.documentElement.dataset.keysStarted")
    return page


def serve(page: Any, html: str) -> None:
    """Answer with a page and its static files, without a server."""

    def answer(route: Any) -> None:
        path = route.request.url.removeprefix(ADDRESS).split("?")[0]
        if path.startswith("static/"):
            file = STATIC / path.removeprefix("static/")
            route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
        elif path == "part":
            route.fulfill(status=409, content_type="text/plain", body="A colleague was faster.")
        else:
            headers = {"Content-Security-Policy": POLICY}
            route.fulfill(body=html, content_type="text/html", headers=headers)

    page.route("**/*", answer)


def test_a_key_presses_its_button_by_code_whatever_letter_it_writes(opened: Any) -> None:
    opened.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " {code: 'KeyR', key: 'к', bubbles: true}))"
    )
    assert opened.evaluate("window.clicked") == ["random"]


def test_the_number_pad_answers_like_the_digits(opened: Any) -> None:
    opened.keyboard.press("Numpad1")
    assert opened.evaluate("window.clicked") == ["one"]


def test_keys_are_left_alone_while_somebody_types_or_composes(opened: Any) -> None:
    opened.keyboard.press("Slash")
    opened.keyboard.type("r1x")
    assert opened.input_value("#search") == "r1x"
    opened.keyboard.press("Escape")
    opened.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " {code: 'KeyR', isComposing: true, bubbles: true}))"
    )
    assert opened.evaluate("window.clicked") == []


def test_a_disabled_button_and_a_held_key_do_nothing(opened: Any) -> None:
    opened.keyboard.press("x")
    opened.keyboard.down("r")
    opened.keyboard.down("r")
    assert opened.evaluate("window.clicked") == ["random"]


def test_the_question_mark_lists_every_key_of_the_page(opened: Any) -> None:
    opened.keyboard.press("?")
    words = opened.inner_text("#keys-help")
    assert "100 at random" in words
    assert "First" in words
    opened.keyboard.press("r")  # keys below an open dialog rest
    assert opened.evaluate("window.clicked") == []
    opened.keyboard.press("Escape")
    assert not opened.is_visible("#keys-help")


def test_the_list_of_keys_names_them_on_a_narrow_screen_too(opened: Any) -> None:
    opened.set_viewport_size({"width": 390, "height": 844})
    assert not opened.is_visible("main .keycap")
    opened.keyboard.press("?")
    assert "R" in opened.locator("#keys-help .keycap:visible").all_inner_texts()


def test_the_look_follows_the_system_until_somebody_chooses(opened: Any) -> None:
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_selector("html[data-bs-theme=dark]")
    opened.click(".avatar")
    opened.click("[data-theme-choice=light]:not(html)")
    opened.wait_for_selector("html[data-bs-theme=light]")
    opened.reload()
    assert opened.get_attribute("html", "data-bs-theme") == "light"


def test_a_page_is_printed_light_and_without_what_only_a_screen_needs(opened: Any) -> None:
    opened.emulate_media(color_scheme="dark", media="print")
    opened.wait_for_selector("html[data-bs-theme=dark]")
    ink = "getComputedStyle(document.querySelector('main')).color"
    assert opened.evaluate(ink) == "rgb(20, 24, 29)"
    assert not opened.locator(".topbar").is_visible()
    assert opened.locator("main .btn-w >> visible=true").count() == 0


def test_a_refused_request_is_said_in_words_and_changes_nothing(opened: Any) -> None:
    opened.click("#get")
    opened.wait_for_selector("#toasts .notice.bad")
    assert "A colleague was faster." in opened.inner_text("#toasts")
    assert opened.inner_text("#here") == ""


def test_a_picture_stands_next_to_what_is_said_of_it(opened: Any) -> None:
    assert opened.locator("#seen td.beside").bounding_box()["width"] < 100


def test_joined_buttons_are_all_in_sight_on_a_phone(opened: Any) -> None:
    opened.set_viewport_size({"width": 390, "height": 844})
    assert opened.evaluate(CUT.replace(".tabs", ".segmented")) == []


def test_no_worker_is_said_in_words(opened: Any) -> None:
    assert "No worker is running" in opened.inner_text(".topbar")


@pytest.mark.parametrize("section", ["overview", "checks", "before_after"])
def test_the_sections_of_a_dataset_stand_wholly_in_sight(page: Any, section: str) -> None:
    name = "Garments of the second collection, photographed by phone"
    dataset = SimpleNamespace(name=name, slug="garments", viewer_role="owner", archived_at=None)
    html = parts_page(dataset=dataset, section=section, workers_alive=3, inbox_new=12)
    serve(page, html)
    page.goto(ADDRESS)
    page.wait_for_function("document.documentElement.dataset.keysStarted")
    for width in (*range(1400, 999, -50), 390):
        page.set_viewport_size({"width": width, "height": 700})
        page.reload()
        page.wait_for_function("document.documentElement.dataset.keysStarted")
        cut = page.evaluate(CUT)
        assert page.inner_text(".tabs [aria-current]") not in cut, width
        assert width < 1000 or not cut, width
        is_faded = page.evaluate("document.querySelector('.tabs').matches('[class*=more-]')")
        assert is_faded == bool(cut), width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_parts_fit_are_accessible_and_keep_the_policy(
    opened: Any, scheme: str, width: int
) -> None:
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 844})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("window.refused") == []
    opened.evaluate((STATIC / "vendor" / "axe.min.js").read_text())
    found = opened.evaluate(
        "axe.run().then((r) => r.violations"
        ".filter((v) => ['serious', 'critical'].includes(v.impact))"
        ".map((v) => v.id + ' ' + v.nodes.map((n) => n.html).join(' ').slice(0, 300)))"
    )
    assert found == []
