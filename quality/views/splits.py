"""Whether the splits can be believed: what they share, pair by pair."""

from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Dataset
from mlcore.refusals import Impossible
from quality.detectors import KINDS
from quality.forms.decisions import MendingForm
from quality.models import Proposal
from quality.queries import chips, mending, overlap
from quality.queries import splits as queries
from quality.queries.flags import doubts_of, last_checks
from quality.queries.runs import open_job
from quality.services import second
from quality.services import selection as selecting
from quality.services.second import UNDO_REFUSED


@login_required
def splits(request: access.MemberRequest, slug: str) -> HttpResponse:
    """The matrix of splits, what it means in words, and when copies were last looked for."""
    dataset = access.dataset_for(request.user, slug)
    checked = last_checks(dataset).get("leakage")
    context = {
        "dataset": dataset,
        "section": "checks",
        "notice": checked.result["kinds"]["leakage"].get("notice", "") if checked else "",
        "has_items": dataset.items.exists(),
        "job": open_job(dataset, "detect"),
        "checked": checked,
        "may_lead": dataset.viewer_role in access.LEADS,
        "accepted": mending.last_mending(dataset),
        "doubts": doubts_of(
            dataset, [kind.name for kind in KINDS.values() if kind.about == "split"]
        ),
        **overlap.context_of(dataset),
    }
    return render(request, "quality/splits.html", context)


@login_required
def ties(
    request: access.MemberRequest, slug: str, evidence: str, split: str, other: str
) -> HttpResponse:
    """The pairs that one cell of the matrix counts."""
    dataset = access.dataset_for(request.user, slug)
    if not queries.is_cell(evidence, split, other=other):
        raise Http404("no such cell")
    after = request.GET.get("after", "")
    page = queries.tied_page(dataset, evidence, split, other=other, after=after)
    context = {
        "dataset": dataset,
        "section": "checks",
        "title": queries.TITLES[evidence],
        "split": split,
        "other": other,
        "rows": page.rows,
        "first_url": request.path if after else "",
        "next_url": f"?{urlencode({'after': page.next})}" if page.next else "",
    }
    return render(request, "quality/ties.html", context)


@login_required
def mend(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Splits that would hold copies and sources together: the proposal, and accepting it."""
    return _propose(request, slug, mending.mending_of, is_anew=False)


@login_required
def divide(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Splits dealt by chance, with every class alike: the proposal, and accepting it."""
    return _propose(request, slug, mending.dividing_of, is_anew=True)


def _propose(
    request: access.MemberRequest,
    slug: str,
    propose: Callable[[Dataset], mending.Mending],
    *,
    is_anew: bool,
) -> HttpResponse:
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    context = {
        "dataset": dataset,
        "section": "checks",
        "is_anew": is_anew,
        "has_takes": is_anew and mending.has_unnamed_takes(dataset),
    }
    try:
        proposed = propose(dataset)
    except Impossible as impossible:
        return render(request, "quality/mend.html", {**context, "impossible": str(impossible)})
    refusal = ""
    if request.method == "POST":
        refusal = _accept(request, dataset, proposed)
        if not refusal:
            return redirect("quality:splits", slug)
    shown = {**context, **mending.context_of(dataset, proposed), "refusal": refusal}
    return render(request, "quality/mend.html", shown, status=422 if refusal else 200)


def _accept(request: access.MemberRequest, dataset: Dataset, proposed: mending.Mending) -> str:
    """Carry a proposal out; returns why not, in words, or nothing."""
    form = MendingForm(request.POST)
    if not form.is_valid() or form.cleaned_data["digest"] != proposed.digest:
        return _("The items have changed since this was proposed; look at the new proposal below.")
    if len(proposed.moves) > mending.MOST_AT_ONCE:
        return _("Too many items would move for one decision.")
    chosen = selecting.Selection(
        dataset,
        list(proposed.moves),
        by=request.user,
        test_confirmed=form.cleaned_data["test_confirmed"],
    )
    try:
        decision = selecting.mend(chosen, splits=proposed.moves)
    except selecting.TestItemsError:
        return _("This changes test items. Tick that you want it.")
    except selecting.NothingToChangeError as nothing:
        return str(nothing)
    if isinstance(decision, Proposal):
        messages.info(request, _("It waits for a second reviewer."))
        return ""
    words = _("Check again to renew the queues; train again to measure on the new splits.")
    messages.success(request, f"{chips.done_words(decision)} {words}")
    return ""


@login_required
@require_POST
def undo(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Take the last accepted proposal back, where nothing newer moved an item."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    accepted = mending.last_mending(dataset)
    if accepted is None:
        messages.info(request, _("There is no accepted proposal to undo."))
        return redirect("quality:splits", slug)
    try:
        undone = second.undo(decision=accepted, by=request.user)
    except UNDO_REFUSED as refusal:
        messages.warning(request, str(refusal))
        return redirect("quality:splits", slug)
    if isinstance(undone, Proposal):
        messages.info(request, _("Taking it back waits for a second reviewer."))
        return redirect("quality:splits", slug)
    words = _("%(n)s items are in their earlier splits again.") % {"n": len(undone.after)}
    messages.success(request, f"{words} {chips.left_words(accepted, undone)}".rstrip())
    return redirect("quality:splits", slug)
