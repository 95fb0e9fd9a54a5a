"""The main pages, wide and at phone width: axe finds nothing serious and nothing sticks out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from labeling.models import Dataset, Upload, User
from labeling.services import members
from labeling.services.versions import freeze_version
from tests import factories
from tests.browser.asking import log_in
from tests.factories import make_asking, make_flag

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = Path(__file__).resolve().parents[2] / "static" / "vendor" / "axe.min.js"
GRAVE = {"serious", "critical"}
SIZES = {"wide and light": (1440, 900, "light"), "phone and dark": (390, 844, "dark")}
TEXT_PAGES = (
    "/d/{slug}/browse/",
    "/d/{slug}/items/{item}/",
    "/annotate/{round}/",
    "/d/{slug}/review/label_error/",
)
MEMBERS_PAGES = (
    *TEXT_PAGES,
    "/",
    "/datasets/new/",
    "/work/",
    "/account/",
    "/password/",
    "/api/docs",
    "/d/{slug}/",
    "/d/{slug}/checks/",
    "/d/{slug}/import/",
    "/d/{slug}/settings/",
    "/d/{slug}/settings/delete/",
    "/d/{slug}/settings/merge/",
    "/d/{slug}/uploads/{upload}/",
    "/d/{slug}/uploads/{upload}/take-back/",
    "/d/{slug}/browse/round/",
    "/d/{slug}/crowd/",
    "/d/{slug}/crowd/agreement/",
    "/d/{slug}/crowd/answers/",
    "/d/{slug}/disputes/",
    "/d/{slug}/gold/",
    "/d/{slug}/pauses/",
    "/d/{slug}/members/",
    "/d/{slug}/rounds/",
    "/d/{slug}/rounds/new/",
    "/d/{slug}/rounds/{round}/",
    "/d/{slug}/runs/",
    "/d/{slug}/runs/test/",
    "/d/{slug}/review/",
    "/d/{slug}/versions/",
    "/d/{slug}/before-after/",
    "/d/nowhere/",
)
STAFF_PAGES = ("/system/",)
OPEN_PAGES = ("/login/", "/invite/{token}/", "/invite/worn-out/")
LONG = "a_class_with_quite_a_long_name"
FINDINGS = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
  .map((one) => [one.impact, one.id, one.nodes.map((node) => node.target.join(" ")).join(", ")]))"""
# The other theme of the same page: only what colours decide can differ.
TURNED = """document.documentElement.dataset.bsTheme =
  document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark" """
COLOURS = FINDINGS.replace(
    '["violations"]', '["violations"], runOnly: ["color-contrast", "link-in-text-block"]'
)
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def furnish(slug: str, media: str, owner: User) -> dict[str, Any]:
    """One dataset with items, a flag, a round, a version and an invitation."""
    dataset = factories.make_dataset(slug, media=media, classes=("7", LONG))
    dataset.memberships.create(user=owner, role="owner")
    items = [
        factories.make_item(dataset, f"folder/{n}.bin", "7", split="test" if n == 0 else "train")
        for n in range(4)
    ]
    for item in items:
        item.content.text = "How do I top up my card?" if media == "text" else ""
        item.content.save()
    flag_first(dataset, items)
    asking = make_asking(dataset, items, name="Sevens")
    freeze_version(dataset=dataset)
    _, token = members.invite(dataset=dataset, role="annotator", by=owner, now=timezone.now())
    upload = Upload.objects.create(dataset=dataset, name="holidays.zip", path="/nowhere")
    made = {"slug": slug, "item": items[0].pk, "round": asking.pk, "token": token}
    return {**made, "upload": upload.pk}


def flag_first(dataset: Dataset, items: list[Any]) -> None:
    make_flag(
        items[1],
        given="7",
        suggested=LONG,
        reason="The model gives “7” .02.",
        evidence={
            "probabilities": [[LONG, 0.9], ["7", 0.02]],
            "neighbours": [[item.pk, 0.9] for item in items[2:]],
        },
    )


@pytest.fixture(params=list(SIZES.values()), ids=list(SIZES))
def sized(request: Any, browser: Any) -> Iterator[Any]:
    """A page at one of the sizes; the policy is passed by so that axe may be put in."""
    width, height, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.route("**/media/**", lambda route: route.fulfill(status=204))
    yield page
    context.close()


def faults_of(page: Any, address: str) -> list[str]:
    """Serious findings on one page, and by how much it is wider than the window."""
    page.goto(address)
    page.evaluate(AXE.read_text())
    named = page.evaluate(FINDINGS)
    page.evaluate(TURNED)
    named += [[*one[:2], f"{one[2]} in the other theme"] for one in page.evaluate(COLOURS)]
    found = [f"{one[1]}: {one[2]}" for one in named if one[0] in GRAVE]
    if (too_wide := page.evaluate(WIDER)) > 0:
        found.append(f"{too_wide} px wider than the window")
    return [f"{page.url}: {one}" for one in found]


@pytest.mark.parametrize("media", ["image", "text"])
def test_the_pages_of_a_dataset_can_be_used_by_everybody(
    sized: Any, live_server: Any, media: str
) -> None:
    owner = factories.make_user("owner")
    facts = furnish("things", media, owner)
    log_in(sized.context, live_server.url, owner)
    pages = MEMBERS_PAGES if media == "image" else TEXT_PAGES
    faults = [
        fault
        for page in pages
        for fault in faults_of(sized, live_server.url + page.format(**facts))
    ]
    assert not faults, "\n".join(faults)


def test_the_pages_before_logging_in_and_of_operators_can_be_used(
    sized: Any, live_server: Any
) -> None:
    facts = furnish("things", "image", factories.make_user("owner"))
    faults = [
        fault
        for page in OPEN_PAGES
        for fault in faults_of(sized, live_server.url + page.format(**facts))
    ]
    log_in(sized.context, live_server.url, factories.make_user("operator", is_staff=True))
    for page in STAFF_PAGES:
        faults += faults_of(sized, live_server.url + page)
    assert not faults, "\n".join(faults)


HELD_MS = 500  # for a reload to get ahead, if there were one
JOB_ENDED = "document.activeElement.blur(); document.body.dispatchEvent(new Event('job-ended'))"


def test_a_job_that_ends_takes_nobody_back_from_where_they_are_going(
    page: Any, live_server: Any
) -> None:
    def hold(route: Any) -> None:
        page.wait_for_timeout(HELD_MS)
        route.continue_()

    page.goto(f"{live_server.url}/login/")
    page.route("**/login/?next=*", hold)
    page.evaluate(f"addEventListener('beforeunload', () => setTimeout(() => {{ {JOB_ENDED} }}, 1))")
    page.goto(f"{live_server.url}/login/?next=/work/")
    with page.expect_navigation():
        page.evaluate(JOB_ENDED)
    assert page.url.endswith("?next=/work/")
