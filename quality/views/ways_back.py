"""Ways back from what brought items: an import taken back, consent withdrawn, a dataset deleted."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from labeling import access, tasks
from labeling.forms.ids import ids_of
from labeling.queries import job_outlook
from labeling.services import jobs
from quality.queries.deleting import what_goes
from quality.queries.taking_back import outlook
from quality.queries.withdrawing import items_taken, people_of
from quality.queries.withdrawing import outcome as what_was_withdrawn
from quality.queries.withdrawing import outlook as what_is_withdrawn
from quality.services import deleting, taking_back, withdrawing


@login_required
def take_back(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Say what would go and what stays; take the import back when that is wanted."""
    upload = access.upload_for(request.user, slug, pk)
    if request.method != "POST":
        context = {"dataset": upload.dataset, "section": "import", "upload": upload}
        context["outlook"] = outlook(upload)
        return render(request, "quality/take_back.html", context)
    try:
        job = taking_back.open_taking_back(upload=upload, by=request.user)
    except (jobs.Refused, jobs.JobOpenError) as refusal:
        messages.error(request, str(refusal))
        return redirect("labeling:upload", slug, pk)
    tasks.send(job)
    return redirect(job)


@login_required
def delete_dataset(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Say what would go; delete it when its owner types its name."""
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    refusal = ""
    if request.method == "POST":
        try:
            job = deleting.open_deletion(
                dataset=dataset, typed=request.POST.get("typed", ""), by=request.user
            )
        except jobs.Refused as error:
            refusal = str(error)
        else:
            tasks.send(job)
            return redirect(job)
    context = {"dataset": dataset, "section": "settings", "goes": what_goes(dataset)}
    context["refusal"] = refusal
    return render(request, "quality/delete_dataset.html", context, status=422 if refusal else 200)


@login_required
def withdraw(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Say what a withdrawal of consent erases; do it when an owner types the dataset's name.

    Items come from a selection, a person (source group) by the address.
    """
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    sent = request.POST if request.method == "POST" else request.GET
    items, named = ids_of(sent.getlist("items")), sent.getlist("group")
    whole = bool(named) or sent.get("scope") == "people"
    people = sorted({*named, *people_of(dataset, items)}) if whole else []
    taken = items_taken(dataset, items=items, people=people)
    refusal = ""
    if "typed" in request.POST:
        try:
            job = withdrawing.open_withdrawal(
                dataset=dataset, items=taken, typed=request.POST["typed"], by=request.user
            )
        except (jobs.Refused, jobs.JobOpenError) as error:
            refusal = str(error)
        else:
            tasks.send(job)
            return redirect("quality:withdrawn", slug, job.pk)
    context = {
        "dataset": dataset,
        "section": "browse",
        "items": items,
        "named": named,
        "whole": whole,
        "outlook": what_is_withdrawn(dataset, taken=taken, asked=() if whole else items),
        "refusal": refusal,
    }
    return render(request, "quality/withdraw.html", context, status=422 if refusal else 200)


@login_required
def withdrawn(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Say what a withdrawal deleted and where, what stands in its place, and what comes next."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    job = dataset.jobs.filter(pk=pk, kind=withdrawing.KIND).first()
    if job is None:
        raise Http404("no such withdrawal")
    context = {"dataset": dataset, "section": "browse", "job": job, **job_outlook(job)}
    if "versions" in job.result:  # one of an earlier Winnow tells less: its page is the job's
        context["outcome"] = what_was_withdrawn(dataset, job)
    return render(request, "quality/withdrawn.html", context)
