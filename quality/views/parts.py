"""How any two parts of a dataset differ: asking, and the answer."""

from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access
from labeling.forms.ids import id_of
from labeling.models import Dataset, Job
from labeling.queries import job_outlook
from labeling.services import jobs
from labeling.views.jobs import start_job
from quality.detectors import PART_SHIFT
from quality.forms.parts import PartsForm
from quality.queries import parts as queries
from quality.queries.flags import doubts_of
from quality.queries.runs import last_ended_job, open_job


@login_required
def parts(request: access.MemberRequest, slug: str) -> HttpResponse:
    """One answer, the newest or the one that is asked for, and the question for the next one."""
    is_asked = request.method == "POST"
    roles = access.LEADS if is_asked else access.REVIEWERS
    dataset = access.dataset_for(request.user, slug, roles=roles)
    columns = queries.columns_of(dataset)
    answers = queries.answers(dataset)
    answered = _opened(request.GET, [job for job, _words in answers])
    query = "" if "answer" in request.GET else request.GET.urlencode()
    first = {"by": columns[0][0]} if answered is None else answered.options
    if query:
        first = {"by": queries.FILTERS, "a": query}
    form = PartsForm(request.POST or None, columns=columns, initial=first)
    if is_asked and form.is_valid():
        _ask(request, dataset, form)
        return redirect("quality:parts", slug)
    job = open_job(dataset, queries.KIND)
    context = {
        "dataset": dataset,
        "section": "checks",
        "form": form,
        "has_items": dataset.items.exists(),
        "may_lead": dataset.viewer_role in access.LEADS,
        "job": job,
        "ended": None if job else last_ended_job(dataset, queries.KIND),
        "answers": answers,
        "answered": answered,
        "answer": queries.answer_of(dataset, answered) if answered else None,
        "doubts": doubts_of(dataset, [PART_SHIFT]),
        **(job_outlook(job) if job else {}),
    }
    return render(request, "quality/parts.html", context, status=422 if form.errors else 200)


def _opened(asked: QueryDict, answers: list[Job]) -> Job | None:
    """Return the answer that the address names, else the newest."""
    if "answer" not in asked:
        return answers[0] if answers else None
    named = id_of(asked.get("answer", ""))
    found = next((job for job in answers if job.pk == named), None)
    if found is None:
        raise Http404("no such answer among the newest")
    return found


def _ask(request: access.MemberRequest, dataset: Dataset, form: PartsForm) -> None:
    words = dict(queries.columns_of(dataset))[form.cleaned_data["by"]]
    comparing = partial(
        jobs.open_job,
        kind=queries.KIND,
        dataset=dataset,
        options={**form.cleaned_data, "words": words},
        by=request.user,
        queue="train",
    )
    start_job(request, comparing, already=_("A comparison is on its way already."))
