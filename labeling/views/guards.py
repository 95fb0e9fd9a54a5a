"""Pauses: why somebody is paused, what they say to it, and what a lead decides."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.guards import DecideForm, MessageForm
from labeling.models import Annotator, GuardAct
from labeling.queries import gold
from labeling.queries import guards as queries
from labeling.services import guards


@login_required
def pauses(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List who is paused and why, with all that was said to anybody before."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    context = {
        "dataset": dataset,
        "section": "annotate",
        "has_gold": gold.has_known(dataset),
        "has_outside": queries.has_outside(dataset),
        "stopped": queries.stopped_in(dataset),
        "history": queries.history(dataset),
    }
    return render(request, "labeling/pauses.html", context)


@login_required
@require_POST
def decide(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Let an annotator go on, end their work or pause them by hand."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    annotator = get_object_or_404(dataset.annotators.all(), pk=pk)
    form = DecideForm(request.POST)
    if form.is_valid():
        act, text, now = form.cleaned_data["act"], form.cleaned_data["text"], timezone.now()
        if act == GuardAct.PAUSE:
            guards.pause(annotator=annotator, text=text, by=request.user, now=now)
        else:
            guards.decide(annotator=annotator, act=act, by=request.user, now=now)
    else:
        messages.error(request, _("Say why, in at most 500 characters."))
    return redirect("labeling:pauses", slug)


@login_required
@require_POST
def reply(request: access.MemberRequest, pk: int) -> HttpResponse:
    """Keep what somebody who is paused wants their lead to know."""
    annotator = get_object_or_404(Annotator, pk=pk, user=request.user)
    form = MessageForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Write a message of 1 to 500 characters."))
    elif guards.answer_pause(
        annotator=annotator, by=request.user, now=timezone.now(), **form.cleaned_data
    ):
        messages.success(request, _("Sent to your lead."))
    else:
        messages.info(request, _("You are not paused any more: go on."))
    return redirect("labeling:my_work")
