"""The page on which a lead asks people blind, to be measured beside the model."""

import random

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access
from labeling.services.rounds import NothingToAskError
from quality.forms.asking import BlindForm
from quality.queries import blind as queries
from quality.services.blind import ask_blind


@login_required
def blind(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Choose how many items by the limits they give, and whom to ask."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    there, sizes = queries.askable(dataset).count(), queries.sizes(dataset)
    first = {"size": min(sizes[1].n, there)}
    form = BlindForm(request.POST or None, dataset=dataset, most=there, initial=first)
    if form.is_valid():
        try:
            made = ask_blind(
                dataset=dataset, by=request.user, chance=random.SystemRandom(), **form.cleaned_data
            )
        except NothingToAskError as nothing:
            form.add_error("size", str(nothing))
        else:
            words = _("Asked. The score stands on the page of each run once all have answered.")
            messages.success(request, words)
            return redirect("labeling:round", slug, made.pk)
    context = {"dataset": dataset, "section": "runs", "form": form, "sizes": sizes, "there": there}
    return render(request, "quality/blind.html", context, status=422 if form.errors else 200)
