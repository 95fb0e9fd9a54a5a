"""The page of a run in a real browser: nothing jumps when the training ends or dates are told."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from labeling.models import Dataset, Job, JobState
from labeling.services import jobs
from quality.models import Run
from quality.services import figures
from tests.browser.asking import log_in
from tests.factories import make_member
from tests.quality.test_run_page import make_run
from tests.quality.test_run_page import pets as _pets

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
pets = _pets
CONFUSION = [[2, 0], [1, 1]]
LEAD = {"over": figures.CENTROID, "difference": 0.0, "low": -0.1, "high": 0.1}
LEAD |= {"before": 0.5, "after": 0.5}
SHIFTS = """new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifted = (window.shifted || 0) + entry.value;
}).observe({ type: "layout-shift", buffered: true });"""


def opened(page: Any, live_server: Any, dataset: Dataset, path: str) -> Any:
    log_in(page.context, live_server.url, make_member(dataset))
    page.add_init_script(SHIFTS)
    page.goto(f"{live_server.url}/d/pets/{path}")
    page.wait_for_function("document.documentElement.dataset.keysStarted && window.htmx")
    return page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_verdict_that_comes_at_the_end_leaves_the_matrix_where_it_is(
    page: Any, live_server: Any, pets: Dataset, width: int
) -> None:
    run = make_run(pets, "cddc")
    metrics = run.metrics | {"lead": LEAD, "confusion": CONFUSION}
    job = jobs.open_job(kind="train", dataset=pets, queue="train")
    detail = {"run": 1, "fold": 2, "folds": 2, "at_hand": [3], "epochs": 9, "n": 4, "sealed": 0}
    detail |= {"confusion": CONFUSION, "predicted": 4, "right": 3, "fold_scores": []}
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, detail=detail)
    Run.objects.filter(pk=run.pk).update(job=job, metrics={}, finished_at=None)
    page.set_viewport_size({"width": width, "height": 800})
    page = opened(page, live_server, pets, "runs/1/")
    top = "document.getElementById('matrix-title').getBoundingClientRect().top"
    before = page.evaluate(top)
    Run.objects.filter(pk=run.pk).update(metrics=metrics, finished_at=timezone.now())
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE, finished_at=timezone.now())
    expect(page.locator("#run-live > .notice")).to_be_attached()
    assert page.evaluate(top) == pytest.approx(before, abs=1)


def test_dates_are_told_in_their_final_words_before_the_page_is_painted(
    page: Any, live_server: Any, pets: Dataset
) -> None:
    run = make_run(pets, "cddc")
    for number in range(2, 9):
        Run.objects.create(
            dataset=pets, number=number, version=run.version, protocol=run.protocol,
            classes=run.classes, metrics=run.metrics, finished_at=timezone.now(),
        )  # fmt: skip
    page = opened(page, live_server, pets, "runs/")
    sent = page.request.get(page.url).text()
    for words in page.locator("time[data-relative]").all_inner_texts():
        assert f">{words}</time>" in sent
    assert page.evaluate("window.shifted || 0") < 0.001
