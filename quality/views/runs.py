"""Pages about training: the list of runs, one run live and done, its predictions as CSV."""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.export import Rows, as_csv
from labeling.models import Dataset
from labeling.queries import job_outlook
from labeling.queries.pages import page_of
from labeling.queries.success import choice_of
from labeling.views.downloads import file_response
from labeling.views.jobs import start_job
from quality import frozen
from quality.forms.runs import PracticeForm, RunPageForm, TrainForm
from quality.models import Run
from quality.queries import runs as queries
from quality.queries.augmentation import augmentation_words
from quality.queries.judged import judged_of
from quality.queries.people_beside import people_beside
from quality.queries.practice import practice_of, surprises_of
from quality.queries.protocols import (
    augmentation_of,
    can_go_by_time,
    scheme_of,
    search_of,
    tuning_of,
    tuning_words,
)
from quality.queries.regression import retested
from quality.queries.run_difference import difference_to, earlier_runs
from quality.queries.run_page import run_page
from quality.queries.success import headline
from quality.services.predictions import predictions_of
from quality.services.runs import open_training

MOST_ASKED = 200  # items of a cell that one button sends to a round


@login_required
def runs(request: HttpRequest, slug: str) -> HttpResponse:
    """The runs of a dataset, and the button that starts one."""
    dataset = access.dataset_for(request.user, slug)
    job = queries.open_job(dataset, "train", "prove")
    ended = None if job else queries.last_ended_job(dataset, "train")
    choice = choice_of(dataset)
    page = page_of(queries.runs_of(dataset), request.GET.get("page"))
    context = {
        "dataset": dataset,
        "section": "runs",
        "page": page,
        "has_items": dataset.items.exists(),
        "success": choice,
        "runs": [queries.with_state(run, choice) for run in page],
        "job": job,
        "ended": ended,
        "can_train": access.role_in(request.user, dataset) in access.LEADS,
        "openings": queries.openings_of(dataset),
        "form": _train_form(dataset),
        "tuning": tuning_words(dataset),
        "augmentation": augmentation_words(augmentation_of(dataset, {})),
        **(job_outlook(job) if job else {}),
    }
    return render(request, "quality/runs.html", context)


def _train_form(dataset: Dataset) -> TrainForm:
    return TrainForm(
        dated=can_go_by_time(dataset),
        media=dataset.media,
        initial={
            "scheme": scheme_of(dataset, {}) or "auto",
            "search": search_of(dataset, {}),
            "tuning": tuning_of(dataset, {}),
        },
    )


@login_required
@require_POST
def train(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Open a training job and send it."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = TrainForm(request.POST, dated=can_go_by_time(dataset), media=dataset.media)
    if not form.is_valid():
        if "changes" in form.errors:
            messages.error(request, _("There is no such change for this kind of item."))
        elif "search" in form.errors or "tuning" in form.errors:
            messages.error(request, _("A search or a trial of fine-tuning takes no such time."))
        else:
            messages.error(request, _("Items with different dates are too few to go by time."))
        return redirect("quality:runs", slug)
    training = partial(open_training, dataset=dataset, options=form.asked(), by=request.user)
    start_job(request, training, already=_("A training is on its way already."))
    return redirect("quality:runs", slug)


@login_required
def run(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One run: matrix, accuracy with its interval, folds, curves, what is confused most."""
    return render(request, "quality/run.html", _run_context(request, slug, number))


@login_required
def run_live(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The same run as a fragment, asked for each second while it trains."""
    context = _run_context(request, slug, number)
    return render(request, "quality/_run_live.html", {**context, "fragment": True})


@login_required
def cell(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The items that one cell of the matrix counts, below it."""
    row = _run(request, slug, number)
    context = _cell_context(row, request.GET.get("given", ""), request.GET.get("predicted", ""))
    return render(request, "quality/_cell_items.html", {"dataset": row.dataset, **context})


def _cell_context(row: Run, given: str, predicted: str) -> dict[str, Any]:
    rows = frozen.rows_where(row, given=given, predicted=predicted)
    url = queries.items_url(row, given=given, predicted=predicted)
    items = queries.items_in_order(frozen.items_at(row.version, rows[:MOST_ASKED]))
    return {
        "run": row,
        "given": given,
        "predicted": predicted,
        "count": len(rows),
        "items": items[: queries.ITEMS_BELOW_MATRIX],
        "asked": items if len(rows) <= MOST_ASKED else [],
        "url": url,
        "back": urlsplit(url).query,
        "may_lead": row.dataset.viewer_role in access.LEADS,
    }


@login_required
def closer(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """What a finished run means in practice; fetched after its page, and as somebody asks."""
    row = _run(request, slug, number)
    form = PracticeForm(request.GET)
    form.is_valid()  # what makes no sense counts as not asked
    context: dict[str, Any] = {"dataset": row.dataset, "run": row, "classes": row.classes}
    if row.finished_at:
        judged = judged_of(row)
        context["practice"] = practice_of(row, judged, form.cleaned_data)
        context["surprises"] = surprises_of(row, judged)
        context["retested"] = retested(row, judged)
        if not request.GET:  # the form above it changes nothing here
            context["beside"] = people_beside(row)
    return render(request, "quality/_run_closer.html", context)


@login_required
def predictions(request: HttpRequest, slug: str, number: int) -> StreamingHttpResponse:
    """Every item of the run's version with what was predicted, one column a class."""
    row = _run(request, slug, number)
    return csv_response(predictions_of(row), name=f"{slug}-run{number}-predictions.csv")


def csv_response(table: Rows, *, name: str) -> StreamingHttpResponse:
    """Stream a table as a CSV file to keep."""
    return file_response(as_csv(table), name=name, content_type="text/csv; charset=utf-8")


def _run(request: HttpRequest, slug: str, number: int) -> Run:
    dataset = access.dataset_for(request.user, slug)
    row = queries.run_numbered(dataset, number)
    if row is None:
        raise Http404("no such run")
    return row


def _run_context(request: HttpRequest, slug: str, number: int) -> dict[str, Any]:
    row = _run(request, slug, number)
    form = RunPageForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    page = run_page(row, fold=chosen.get("fold") or 0)
    return {
        "dataset": row.dataset,
        "section": "runs",
        "can_train": row.dataset.viewer_role in access.LEADS,
        **page,
        **_shown(row, chosen.get("show") or "counts", against=chosen.get("against") or 0),
        **(_chosen_cell(row, page["confused"], chosen) if row.finished_at else {}),
        **(job_outlook(row.job) if row.job and row.job.is_open else {}),
    }


def _shown(row: Run, show: str, *, against: int) -> dict[str, Any]:
    """What the cells say; beside an earlier run when there is one to compare with."""
    earlier = earlier_runs(row) if row.finished_at else []
    choice = choice_of(row.dataset) if earlier else None
    other = next((run for run in earlier if run.number == against), earlier[0] if earlier else None)
    if show == "difference" and other is None:
        show = "counts"
    return {
        "show": show,
        "earlier": [(run, headline(run.metrics, choice)) for run in earlier],
        "other": other,
        "difference": difference_to(row, other) if other and show == "difference" else None,
    }


def _chosen_cell(row: Run, confused: list[queries.Cell], chosen: dict[str, Any]) -> dict[str, Any]:
    """The items below the matrix: of the cell asked for, else of what is confused most."""
    given, predicted = chosen.get("given", ""), chosen.get("predicted", "")
    if not given and not predicted and confused:
        given, predicted = confused[0].given, confused[0].predicted
    return {"cell": _cell_context(row, given, predicted)} if given or predicted else {}
