"""The page on which a lead says how success is measured."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access, tasks
from labeling.forms.success import SuccessForm
from labeling.models import Dataset
from labeling.services import datasets, jobs


@login_required
def success(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show and keep the choice; runs that exist are measured by it in a job."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = SuccessForm(request.POST or None, dataset=dataset)
    if not form.is_valid():
        context = {"dataset": dataset, "section": "settings", "form": form}
        return render(request, "quality/success.html", context, status=422 if form.errors else 200)
    datasets.choose_success(dataset=dataset, chosen=form.chosen())
    messages.success(request, _("Saved."))
    measure_again(request, dataset)
    return redirect("labeling:settings", slug)


def measure_again(request: access.MemberRequest, dataset: Dataset) -> None:
    """Let a job measure the runs that exist by what success means now."""
    if not dataset.runs.exists():
        return
    try:
        tasks.send(jobs.open_job(kind="score", dataset=dataset, by=request.user))
    except jobs.JobOpenError:
        pass  # it reads the choice again before it ends
    except jobs.Refused as refusal:
        messages.warning(request, str(refusal))
