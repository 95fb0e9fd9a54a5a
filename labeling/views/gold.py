"""Check items: which are known, how people do on them, and which are in doubt."""

import random

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.gold import GoldForm, PromoteForm
from labeling.forms.ids import ids_of
from labeling.queries import gold as queries
from labeling.services import gold


@login_required
def gold_page(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List the gold items with what people answered, doubtful ones first."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    shown = queries.tried_page(dataset, request.GET.get("page"))
    context = {
        "dataset": dataset,
        "section": "annotate",
        "page": shown.page,
        "rows": shown.rows,
        "doubtful": shown.doubtful,
        "agreed": len(queries.agreed(dataset)),
        "least": queries.AGREED_ANSWERS,
        "classes": dataset.classes.filter(retired_at__isnull=True),
    }
    return render(request, "labeling/gold.html", context)


@login_required
@require_POST
def use_item(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Make a gold item of one item, with its answer and why."""
    item = access.item_for(request.user, slug, pk, roles=access.LEADS)
    form = GoldForm(request.POST, dataset=item.dataset)
    if not form.is_valid():
        messages.error(request, _("Choose a class, and say why in at most 200 characters."))
        return redirect("quality:item", slug, pk)
    gold.use_as_gold(
        labels={item.pk: form.cleaned_data["label"].pk},
        dataset=item.dataset,
        why=form.cleaned_data["why"],
        by=request.user,
        now=timezone.now(),
    )
    messages.success(request, _("It is a check item now. Rounds that mix them in will ask it."))
    return redirect("quality:item", slug, pk)


@login_required
@require_POST
def use_labels(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Make gold items of those selected in Browse, with the labels that they have."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    items = ids_of(request.POST.getlist("items"))
    made = gold.use_labels_as_gold(
        items=items, dataset=dataset, by=request.user, now=timezone.now()
    )
    _say_made(request, made)
    return redirect("labeling:gold", slug)


@login_required
@require_POST
def promote(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Make gold items of some on which everybody agrees."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = PromoteForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Say how many, from 1 to 1,000."))
        return redirect("labeling:gold", slug)
    made = gold.promote_agreed(
        dataset=dataset,
        by=request.user,
        now=timezone.now(),
        rng=random.SystemRandom(),
        **form.cleaned_data,
    )
    _say_made(request, made)
    return redirect("labeling:gold", slug)


def _say_made(request: access.MemberRequest, made: int) -> None:
    if made:
        words = ngettext("%s more check item.", "%s more check items.", made)
        messages.success(request, words % made)
    else:
        messages.warning(request, _("None of these has a label that is not known already."))


@login_required
@require_POST
def correct(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Replace the known answer of a gold item."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    row = get_object_or_404(queries.known(dataset), pk=pk)
    form = GoldForm({**request.POST.dict(), "why": row.why}, dataset=dataset)
    if form.is_valid():
        label = form.cleaned_data["label"]
        gold.correct_gold(gold=row, label=label, by=request.user, now=timezone.now())
        words = _("It is known as %s now. Answers given so far are measured by that.")
        messages.success(request, words % label.name)
    else:
        messages.error(request, _("Choose a class."))
    return redirect("labeling:gold", slug)


@login_required
@require_POST
def retire(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Measure nobody by a gold item any more."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    row = get_object_or_404(queries.known(dataset), pk=pk)
    gold.retire_gold(gold=row, now=timezone.now())
    messages.success(request, _("Retired: it is not asked again and measures nobody."))
    return redirect("labeling:gold", slug)
