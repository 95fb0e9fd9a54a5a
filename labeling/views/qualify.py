"""Qualifications: another attempt for oneself; for a lead, to give one or to waive."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Round, RoundKind
from labeling.queries import qualifications as queries
from labeling.services import annotations, qualifications

ACTS: dict[str, tuple[Callable[..., None], Any]] = {
    "grant": (qualifications.grant_attempt, _("%s has one attempt more.")),
    "waive": (qualifications.waive, _("%s may answer without it.")),
    "take_back": (qualifications.take_back, _("Taken back for %s.")),
}


@login_required
@require_POST
def start_again(request: access.MemberRequest, pk: int) -> HttpResponse:
    """Begin another attempt of one's own."""
    asking = _qualification(access.round_for(request.user, pk))
    annotator = annotations.annotator_for(dataset=asking.dataset, user=request.user)
    try:
        qualifications.start_again(asking=asking, annotator=annotator, now=timezone.now())
    except qualifications.NotNowError as error:
        messages.warning(request, str(error))
        return redirect("labeling:my_work")
    return redirect("labeling:annotate", pk)


@login_required
@require_POST
def decide(request: access.MemberRequest, slug: str, pk: int, user: int) -> HttpResponse:
    """Give a person another attempt, waive the qualification for them, or take that back."""
    asking = _qualification(access.round_in(request.user, slug, pk, roles=access.LEADS))
    chosen = ACTS.get(request.POST.get("act", ""))
    if chosen is None:
        messages.error(request, _("Choose what to do."))
        return redirect("labeling:round", slug, pk)
    act, words = chosen
    person = get_object_or_404(queries.people_of(asking), pk=user)
    annotator = annotations.annotator_for(dataset=asking.dataset, user=person)
    try:
        act(asking=asking, annotator=annotator, by=request.user, now=timezone.now())
    except qualifications.NotNowError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, str(words) % person.username)
    return redirect("labeling:round", slug, pk)


def _qualification(asking: Round) -> Round:
    if asking.kind != RoundKind.QUALIFY:
        raise Http404("no such qualification")
    return asking
