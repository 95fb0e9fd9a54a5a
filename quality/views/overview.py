"""The front page of a dataset."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from labeling import access
from labeling.services import members
from quality.detectors import KINDS, titles
from quality.queries.overview import overview_of


@login_required
def overview(request: access.MemberRequest, slug: str) -> HttpResponse:
    """What is wrong, what was gained, what runs, and what to do next."""
    dataset = access.dataset_for(request.user, slug)
    kinds = titles()
    may_lead = dataset.viewer_role in access.LEADS
    found = overview_of(dataset, request.user, kinds=kinds, may_lead=may_lead)
    next_step = next((step for step in found["steps"] if not step.is_done), None)
    context = {
        "dataset": dataset,
        "section": "overview",
        "may_lead": may_lead,
        "may_train_first": may_lead and found["may_train"],
        "checks": {name: kind.checks for name, kind in KINDS.items()},
        "next_step": next_step,
        **found,
    }
    members.mark_visit(dataset=dataset, user=request.user, now=timezone.now())
    return render(request, "quality/overview.html", context)
