"""The crowd as its lead sees it: who answers how much and how well, and where people disagree."""

from contextlib import suppress
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.views.decorators.http import require_POST

from labeling import access, export, tasks
from labeling.forms.crowd import AnswersForm, AttributeForm, CrowdForm, PeriodForm
from labeling.models import Dataset
from labeling.queries import annotators, crowd_answers, guards, job_outlook, qualifications, rounds
from labeling.queries import crowd as queries
from labeling.queries import readings as reading_queries
from labeling.queries.disputes import open_disputes
from labeling.queries.gold import by_annotator
from labeling.queries.work_record import COLUMNS, work_record
from labeling.queries.worst_answers import MEASURES
from labeling.services import jobs
from labeling.services import readings as reading_services
from labeling.views.downloads import file_response
from labeling.views.jobs import start_job

SORT_WORDS = (
    ("answers", _l("most answers")),
    ("accuracy", _l("least accurate")),
    ("time", _l("fastest")),
    ("unsure", _l("most unsure")),
    ("last", _l("latest")),
)


@login_required
def crowd(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List who answered, with one figure of agreement and the classes that people confuse."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    return _crowd_page(request, dataset, PeriodForm(initial=_this_month()))


def _crowd_page(
    request: access.MemberRequest, dataset: Dataset, period: PeriodForm, *, status: int = 200
) -> HttpResponse:
    form = CrowdForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    sort = chosen.get("sort") or "answers"
    found = queries.findings_of(dataset)
    people = queries.people_of(dataset, found, sort=sort, page=chosen.get("page") or 1)
    context = {
        "dataset": dataset,
        "section": "crowd",
        "people": people,
        "sort": sort,
        "sorts": SORT_WORDS,
        "sort_query": f"sort={sort}",
        "found": found,
        "fresh": queries.answers_since(dataset, found) if found else 0,
        "pairs": queries.pairs_of(dataset, found) if found else [],
        "disputed": open_disputes(dataset).count(),
        "stopped": len(guards.stopped_in(dataset)),
        "period": period,
        **_measuring(dataset),
    }
    return render(request, "labeling/crowd.html", context, status=status)


def _this_month() -> dict[str, Any]:
    today = timezone.localdate()
    return {"start": today.replace(day=1), "end": today}


def _measuring(dataset: Dataset) -> dict[str, Any]:
    job = queries.last_measuring(dataset)
    if job is None or job.state == "done":
        return {"job": None}
    return {"job": job, **job_outlook(job)}


@login_required
@require_POST
def measure(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Measure the crowd anew in the background."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    measuring = partial(jobs.open_job, kind=queries.KIND, dataset=dataset, by=request.user)
    start_job(request, measuring, already=_("The crowd is being measured already."))
    return redirect("labeling:crowd", slug)


@login_required
def person(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Show one annotator: counts, accuracy, and what they confuse with what."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    annotator = access.annotator_in(dataset, pk)
    found = queries.findings_of(dataset)
    row = found.people.get(annotator.pk) if found else None
    table = queries.confusion_of(dataset, annotator, found) if found else None
    accuracy = queries.limits_at(found.arrays["accuracy"], row) if found else None
    is_alone = found and accuracy is None
    asking = rounds.round_to_ask_more(dataset, annotator) if is_alone else None
    context = {
        "dataset": dataset,
        "section": "crowd",
        "annotator": annotator,
        "facts": queries.person_of(dataset, annotator),
        "gold": by_annotator(dataset).get(annotator.pk),
        "qualifications": qualifications.standings_in(dataset, annotator),
        "history": guards.history(dataset, annotator=annotator),
        "stop": guards.stop_of(annotator),
        "found": found,
        "accuracy": accuracy if found and found.tells_who else None,
        "is_alone": is_alone,
        "alpha": queries.limits_at(found.arrays["people_alpha"], row) if found else None,
        "table": table,
        "asking": asking,
        "asks_second": asking is not None and rounds.asks_second(asking, annotator),
    }
    return render(request, "labeling/crowd_person.html", context)


@login_required
def answers(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List the answers that a number of the crowd's pages counts."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = AnswersForm(request.GET, dataset=dataset)
    if not form.is_valid():
        raise Http404("no such answers")
    chosen = form.cleaned_data
    wanted = crowd_answers.AnswersWanted(**{**chosen, "page": chosen["page"] or 1})
    found = queries.findings_of(dataset)
    listed = crowd_answers.answers_listed(dataset, wanted, found)
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "dataset": dataset,
        "section": "crowd",
        "wanted": wanted,
        "answer_words": dict(form.fields["answer"].choices).get(wanted.answer, ""),  # type: ignore[attr-defined]
        "worst_words": MEASURES[wanted.worst][0] if wanted.worst else "",
        "of_round": wanted.round and dataset.rounds.filter(pk=wanted.round).first(),
        "found": found,
        "answers": listed,
        "rows": [(row, _words(row)) for row in listed.rows],
        "query": query.urlencode(),
    }
    return render(request, "labeling/crowd_answers.html", context)


def _words(row: crowd_answers.ListedAnswer) -> str:
    given = row.given
    return annotators.words_for(given.answer, label=given.label, asked=given.asked)


@login_required
def agreement(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show how far answers agree in each class and with each annotator."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    found = queries.findings_of(dataset)
    by_class, by_person = queries.agreement_of(dataset, found) if found else ([], [])
    context = {
        "dataset": dataset,
        "section": "crowd",
        "found": found,
        "by_class": by_class,
        "by_person": by_person,
    }
    return render(request, "labeling/crowd_agreement.html", context)


@login_required
def readings(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show groups who read the question differently, a declared attribute, and suggestions."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    initial = {
        "name": dataset.attribute,
        "people": reading_queries.declared_lines(dataset),
    }
    return _readings_page(request, dataset, AttributeForm(dataset=dataset, initial=initial))


def _readings_page(
    request: access.MemberRequest, dataset: Dataset, form: AttributeForm, *, status: int = 200
) -> HttpResponse:
    found = reading_queries.measured(dataset)
    context = {
        "dataset": dataset,
        "section": "crowd",
        "found": found,
        "readings": reading_queries.readings_of(dataset, found) if found else None,
        "form": form,
    }
    return render(request, "labeling/crowd_readings.html", context, status=status)


@login_required
@require_POST
def declare(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Keep something that is known of annotators, and have it tested."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = AttributeForm(request.POST, dataset=dataset)
    if not form.is_valid():
        return _readings_page(request, dataset, form, status=422)
    reading_services.declare(dataset=dataset, **form.cleaned_data)
    with suppress(jobs.JobOpenError, jobs.Refused):  # then it is tested the next time
        tasks.send(jobs.open_job(kind=queries.KIND, dataset=dataset, by=request.user))
    messages.success(
        request, _("Kept. The crowd is measured again, and with it what this changes.")
    )
    return redirect("labeling:readings", slug)


@login_required
def record(request: access.MemberRequest, slug: str) -> HttpResponseBase:
    """Hand out what each person did from one day to another, as CSV."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = PeriodForm(request.GET)
    if not form.is_valid():
        return _crowd_page(request, dataset, form, status=422)
    start, end = form.moments()
    rows = export.Rows(COLUMNS, work_record(dataset, start=start, end=end))
    days = f"{form.cleaned_data['start']}-{form.cleaned_data['end']}"
    return file_response(
        export.as_csv(rows), name=f"{dataset.slug}-work-{days}.csv", content_type="text/csv"
    )
