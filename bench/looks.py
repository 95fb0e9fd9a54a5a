"""Photograph every page of a running Winnow, at two widths in both themes, for people to look at.

WINNOW_DATA=... python bench/looks.py http://127.0.0.1:8000 OUT [--furnish] [--only NAME ...]

`--furnish` first puts a fresh demo into the states that pages have to show (do it once, and not
on data that you need). OUT gets a picture of each page and contact sheets; a page that is wider
than its window, or that axe finds serious faults on, is named on the terminal.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
import django

django.setup()

from django.conf import settings  # noqa: E402
from django.test import Client, RequestFactory  # noqa: E402
from django.views.defaults import server_error  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import TimeoutError as TooSlowError  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from bench.looks_state import furnish, held_training, invitation_link  # noqa: E402
from labeling.models import Annotator, Dataset, Job, Round, Upload, User  # noqa: E402
from quality.models import Comparison, Flag  # noqa: E402
from tests.setup import chromium  # noqa: E402

SIZES = {"wide": (1280, 800), "phone": (390, 844)}
PASSWORD = "correct horse"  # of the demo's people, once `--furnish` was there
MOST_PIXELS_HIGH = 2400
STILL_MS = 5000  # longest wait for a page that is still fetching
SHEET = {"wide": (3, 620), "phone": (7, 260)}
AXE = Path(__file__).resolve().parent.parent / "static" / "vendor" / "axe.min.js"
FINDINGS = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => one.id + ": " + one.nodes.map((node) => node.target.join(" ")).join(", ")))"""
LOADED = """Array.from(document.images).every((image) => image.complete
  || image.getBoundingClientRect().top > innerHeight)"""
BROKEN, LOCKED = "/broken/", "/login/?as=locked"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def pages() -> Iterator[tuple[str, str, str]]:
    """Yield who looks, what the picture is called and the address."""
    for name, address in (
        ("login", "/login/"), ("login-locked", LOCKED), ("500", BROKEN), ("api", "/api/docs"),
        ("invitation-worn", "/invite/worn-out/"), ("invitation", invitation_link()),
    ):  # fmt: skip
        yield "", name, address
    for name, address in (
        ("datasets", "/"), ("inbox", "/inbox/"), ("new-dataset", "/datasets/new/"),
        ("work", "/work/"),
        ("account", "/account/"), ("password", "/password/"),
        ("password-done", "/password/done/"), ("404", "/d/nowhere/"),
    ):  # fmt: skip
        yield "lead", name, address
    yield "operator", "system", "/system/"
    yield "operator", "no-work", "/work/"
    yield "ada", "paused", "/work/"
    for name in ("work", "account"):
        yield "annotator", f"annotator-{name}", f"/{name}/"
    yield "annotator", "403", "/d/digits/"
    for dataset in Dataset.objects.order_by("pk"):
        yield from _of_dataset(dataset)


SECTIONS = (
    *("", "browse/", "checks/", "review/", "decisions/", "runs/", "versions/", "before-after/"),
    *("runs/blind/", "augmentation/"),
    *("rounds/", "rounds/new/", "crowd/", "crowd/agreement/", "crowd/answers/", "disputes/"),
    *("gold/", "pauses/", "import/", "members/", "settings/", "settings/delete/", "browse/round/"),
    "second/",
    "settings/merge/",
    "splits/",
    "report/",
)


def _of_dataset(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    slug, base = dataset.slug, f"/d/{dataset.slug}/"
    for section in SECTIONS:
        yield "lead", f"{slug}-{section.strip('/').replace('/', '-') or 'overview'}", base + section
    yield from _of_withdrawals(dataset)
    if dataset.is_demo:
        yield "lead", f"{slug}-planted", f"{base}demo/"
    kinds = Flag.objects.filter(dataset=dataset, state="open").values_list("kind", flat=True)
    for kind in sorted(set(kinds.order_by())):
        yield "lead", f"{slug}-review-{kind}", f"{base}review/{kind}/"
    every = Flag.objects.filter(dataset=dataset, state__in=("decided", "dismissed"))
    for kind in sorted(set(every.values_list("kind", flat=True).order_by()) - set(kinds)):
        yield "lead", f"{slug}-reviewed-{kind}", f"{base}review/{kind}/"
    if item := dataset.items.filter(label__isnull=False).last():
        yield "lead", f"{slug}-item", f"{base}items/{item.pk}/"
    for run in dataset.runs.all():
        yield "lead", f"{slug}-run-{run.number}", f"{base}runs/{run.number}/"
        yield "lead", f"{slug}-model-{run.number}", f"{base}runs/{run.number}/model/"
    for version in dataset.versions.filter(number__gt=1):
        old = f"old={version.number - 1}&new={version.number}"
        yield "lead", f"{slug}-difference-{version.number}", f"{base}versions/difference/?{old}"
    for upload in Upload.objects.filter(dataset=dataset):
        yield "lead", f"{slug}-upload-{upload.pk}", f"{base}uploads/{upload.pk}/"
        yield "lead", f"{slug}-take-back-{upload.pk}", f"{base}uploads/{upload.pk}/take-back/"
    yield from _of_people(dataset)
    for job in Job.objects.filter(dataset=dataset, state="failed"):
        yield "lead", f"{slug}-job-{job.pk}", f"/jobs/{job.pk}/"
    for shown in Comparison.objects.filter(dataset=dataset):
        yield "lead", f"{slug}-changed", f"{base}before-after/{shown.pk}/newly_right/"


def _of_withdrawals(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """Yield the page that asks, for an item and for a person, and what is left afterwards."""
    slug, base = dataset.slug, f"/d/{dataset.slug}/"
    there = dataset.items.filter(withdrawn_at=None)
    gone = dataset.items.exclude(withdrawn_at=None).first()
    if gone and (item := there.first()):
        yield "lead", f"{slug}-withdraw-nothing", f"{base}withdraw/"
        yield "lead", f"{slug}-withdraw-item", f"{base}withdraw/?items={item.pk}"
        yield "lead", f"{slug}-tombstone", f"{base}items/{gone.pk}/?excluded=1"
        yield "lead", f"{slug}-browse-excluded", f"{base}browse/?excluded=1"
        for job in Job.objects.filter(dataset=dataset, kind="withdraw"):
            yield "lead", f"{slug}-withdrawn-{job.pk}", f"{base}withdraw/{job.pk}/"
        flag = Flag.objects.filter(dataset=dataset, items=gone).first()
        if flag:
            yield "lead", f"{slug}-tombstone-flag", f"{base}review/{flag.kind}/?flag={flag.pk}"
    if gone and (person := there.exclude(source_group="").first()):
        yield "lead", f"{slug}-withdraw-person", f"{base}withdraw/?group={person.source_group}"


def _of_people(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    slug, base = dataset.slug, f"/d/{dataset.slug}/"
    for asking in Round.objects.filter(dataset=dataset):
        yield "lead", f"{slug}-round-{asking.pk}", f"{base}rounds/{asking.pk}/"
        yield "lead", f"{slug}-annotate-{asking.pk}", f"/annotate/{asking.pk}/"
    for person in Annotator.objects.filter(dataset=dataset, user__username__in=("mira", "ada")):
        yield "lead", f"{slug}-person-{person.user}", f"{base}crowd/{person.pk}/"
        asked = person.annotations.values_list("round", flat=True).first()
        yield str(person.user), f"{slug}-mine-{person.user}", f"/annotate/{asked or 1}/mine/"


def _of_training(dataset: Dataset, number: int) -> Iterator[tuple[str, str, str]]:
    slug, base = dataset.slug, f"/d/{dataset.slug}/"
    yield "lead", f"{slug}-training", f"{base}runs/{number}/"
    yield "lead", f"{slug}-training-runs", f"{base}runs/"
    yield "lead", f"{slug}-training-review", f"{base}review/"


def _cookie(username: str) -> str:
    client = Client()
    client.force_login(
        User.objects.get(username=username), "django.contrib.auth.backends.ModelBackend"
    )
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def photograph(context: Any, address: str, path: Path) -> list[str]:
    """Keep a picture of a page; returns what is wrong with it."""
    page = context.new_page()
    page.route(f"**{BROKEN}", _broken)
    page.goto(address, wait_until="load")
    if address.endswith(LOCKED):
        _lock_out(page)
    _settle(page)
    high = min(MOST_PIXELS_HIGH, page.evaluate("document.documentElement.scrollHeight"))
    size = page.viewport_size
    if high > size["height"]:
        page.set_viewport_size({"width": size["width"], "height": high})
        _settle(page)
    page.screenshot(path=path)
    page.set_viewport_size(size)
    page.evaluate(AXE.read_text())
    found = [str(fault) for fault in page.evaluate(FINDINGS)]
    if (wider := page.evaluate(WIDER)) > 0:
        found.append(f"{wider} px wider than the window")
    page.close()
    return found


def _settle(page: Any) -> None:
    """Wait until everything in sight was fetched; a page that goes on asking is not waited for."""
    with suppress(TooSlowError):
        page.wait_for_load_state("networkidle", timeout=STILL_MS)
        page.wait_for_function(LOADED, timeout=STILL_MS)
    page.wait_for_timeout(250)  # peaks are drawn, charts have grown


def _broken(route: Any) -> None:
    answer = server_error(RequestFactory().get(BROKEN))
    route.fulfill(status=500, content_type="text/html", body=answer.content.decode())


def _lock_out(page: Any) -> None:
    """Mistake a password until nobody may try again for a while."""
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        if not page.locator("[name=password]").count():
            break
        page.fill("[name=username]", "forgetful")
        page.fill("[name=password]", "wrong")
        page.press("[name=password]", "Enter")
        page.wait_for_load_state("load")


def sheet(pictures: list[Path], path: Path, size: str) -> None:
    """Put pictures beside each other on one."""
    columns, width = SHEET[size]
    high = width * SIZES[size][1] // SIZES[size][0]
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * (width + 6), rows * (high + 6)), "#7a3d9a")
    for place, picture in enumerate(pictures):
        with Image.open(picture) as opened:
            small = opened.convert("RGB")
        small = small.crop((0, 0, small.width, min(small.height, SIZES[size][1])))
        small.thumbnail((width, high))
        whole.paste(small, (place % columns * (width + 6), place // columns * (high + 6)))
    whole.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--furnish", action="store_true")
    parser.add_argument("--only", nargs="*", default=[], help="parts of picture names")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=SIZES)
    parser.add_argument("--themes", nargs="*", default=["light", "dark"])
    asked = parser.parse_args()
    if asked.furnish:
        furnish(PASSWORD)
    wanted = [page for page in pages() if not asked.only or any(o in page[1] for o in asked.only)]
    asked.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find(), args=chromium.ARGUMENTS
        )
        _everything(browser, asked, wanted, "")
        if not asked.only or any("training" in part for part in asked.only):
            digits = Dataset.objects.get(slug="digits")
            with held_training(digits) as number:
                _everything(browser, asked, list(_of_training(digits, number)), "training-")
        browser.close()


def _everything(browser: Any, asked: Any, wanted: list[tuple[str, str, str]], part: str) -> None:
    """Photograph pages in every combination; `part` begins the names of their sheets."""
    cookies = {who: _cookie(who) for who in {page[0] for page in wanted} - {""}}
    for size in asked.sizes:
        for theme in asked.themes:
            made = _series(browser, asked, wanted, cookies, (size, theme))
            _sheets(made, asked.out, f"{part}{size}-{theme}", size)


def _series(
    browser: Any, asked: Any, wanted: Any, cookies: Any, looks: tuple[str, str]
) -> list[Path]:
    size, theme = looks
    width, height = SIZES[size]
    made = []
    for who in sorted({page[0] for page in wanted}):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, bypass_csp=True,
            has_touch=size == "phone",
        )  # fmt: skip
        if who:
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": cookies[who], "url": asked.url}])
        for _, name, address in (page for page in wanted if page[0] == who):
            path = asked.out / f"{name}-{size}-{theme}.png"
            for fault in photograph(context, asked.url + address, path):
                print(f"{name} {size} {theme}: {fault}", flush=True)
            made.append(path)
        context.close()
    return made


def _sheets(made: list[Path], out: Path, name: str, size: str) -> None:
    here = 3 * SHEET[size][0]
    for number, first in enumerate(range(0, len(made), here)):
        shown = made[first : first + here]
        sheet(shown, out / f"sheet-{name}-{number:02}.png", size)
        print(f"sheet {name} {number:02}: {[path.stem for path in shown]}", flush=True)


if __name__ == "__main__":
    main()
