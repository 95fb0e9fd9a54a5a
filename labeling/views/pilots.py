"""Pilots of two wordings: compared, counted, used."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Round, RoundKind
from labeling.queries import pilots as queries
from labeling.services import pilots


@login_required
def pilot(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Show two wordings side by side."""
    first = _first(request, slug, pk)
    context = {
        "dataset": first.dataset,
        "section": "annotate",
        "round": first,
        "found": queries.comparison_of(first),
        "newest": first.dataset.guidelines.first(),
    }
    return render(request, "labeling/pilot.html", context)


@login_required
@require_POST
def act(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Count the answers under one wording or both, take that back, or use a wording."""
    first = _first(request, slug, pk)
    rows = {row.wording["name"]: row for row in queries.rounds_of(first)}
    what, _colon, names = request.POST.get("act", "").partition(":")
    if what == "count" and names and set(names) <= set(rows):
        n = pilots.count_answers(pilot=first, names=names, by=request.user, now=timezone.now())
        messages.success(request, _("Counted: %(n)s items got another label by it.") % {"n": n})
    elif what == "stop":
        n = pilots.stop_counting(pilot=first, by=request.user)
        messages.success(request, _("No longer counted: %(n)s labels taken back.") % {"n": n})
    elif what == "use" and names in rows:
        made = pilots.use_wording(asking=rows[names], by=request.user)
        words = _("Wording %(name)s is the question now, and guideline v%(number)s.")
        messages.success(request, words % {"name": names, "number": made.number})
    else:
        messages.error(request, _("Choose what to do."))
    return redirect("labeling:pilot", slug, first.pk)


def _first(request: access.MemberRequest, slug: str, pk: int) -> Round:
    """Return the round with the first wording, asked for by either of them."""
    asking = access.round_in(request.user, slug, pk, roles=access.LEADS)
    if asking.kind != RoundKind.PILOT:
        raise Http404("no such pilot")
    return queries.rounds_of(asking)[0]
