"""Merging two classes, with the guideline edited in the same step; and its undo."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Dataset
from quality.forms.decisions import MergeForm
from quality.models import Proposal
from quality.queries import merging as queries
from quality.queries.chips import left_words
from quality.services import merging as services
from quality.services import second, selection
from quality.views.success import measure_again


@login_required
def merge(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Choose the two classes and say in the guideline what the one means from now on."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    sent = request.POST if request.method == "POST" else None
    form = MergeForm(sent, dataset=dataset, initial=queries.proposed(dataset, request.GET))
    refusal, in_test = "", 0
    if form.is_valid():
        try:
            made = services.merge_classes(dataset=dataset, by=request.user, **form.cleaned_data)
        except selection.TestItemsError as question:
            in_test = question.count
        except selection.NothingToChangeError as nothing:
            refusal = str(nothing)
        else:
            if isinstance(made, Proposal):
                messages.info(request, _("It waits for a second reviewer."))
                return redirect("quality:merge_classes", slug)
            names = {"old": made.before[0]["label"], "new": made.after[0]["label"]}
            told = _("“%(old)s” is part of “%(new)s” now: %(n)s items. Train and check again.")
            messages.success(request, told % {**names, "n": len(made.after)})
            if "success" in made.after[0]["merge"]:
                measure_again(request, dataset)
            return redirect("quality:merge_classes", slug)
    context = _context(dataset, form) | {"refusal": refusal, "in_test": in_test}
    is_refused = bool(refusal or in_test or form.errors)
    return render(request, "quality/merge.html", context, status=422 if is_refused else 200)


def _context(dataset: Dataset, form: MergeForm) -> dict[str, object]:
    return {
        "dataset": dataset,
        "section": "settings",
        "form": form,
        "named": queries.named_by(dataset),
        "merged": queries.merged(dataset),
    }


@login_required
@require_POST
def undo(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Take a merge back: labels that nothing newer changed, class, check items, guideline."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    decision = queries.merge_in(dataset, pk)
    if decision is None:
        raise Http404("no such decision")
    try:
        undone = second.undo(decision=decision, by=request.user)
    except second.UNDO_REFUSED as refusal:
        messages.warning(request, str(refusal))
        return redirect("quality:merge_classes", slug)
    if isinstance(undone, Proposal):
        messages.info(request, _("Taking it back waits for a second reviewer."))
    else:
        words = _("%(n)s items have their class again.") % {"n": len(undone.after)}
        messages.success(request, f"{words} {left_words(decision, undone)}".rstrip())
        if "success" in decision.after[0]["merge"]:
            measure_again(request, dataset)
    return redirect("quality:merge_classes", slug)
