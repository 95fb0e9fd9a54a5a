"""A round of all items that Browse shows: any filter, list of keys or kind of flag."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access
from labeling.models import RoundKind
from labeling.queries import rounds
from labeling.services.rounds import NothingToAskError, make_round
from quality.detectors import KINDS
from quality.forms import ShownRoundForm
from quality.queries import browse as queries
from quality.queries import chips
from quality.views.browse import shown_for


@login_required
def ask(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Ask about everything that the filter in the address shows."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    shown = shown_for(request, dataset)
    usual = {
        "name": _("Round %(number)d") % {"number": rounds.next_number(dataset)},
        "kind": RoundKind.CLASSIFY,
        "answers_wanted": dataset.answers_wanted,
    }
    form = ShownRoundForm(request.POST or None, dataset=dataset, initial=usual)
    if form.is_valid():
        chosen = {name: value for name, value in form.cleaned_data.items() if name != "keys"}
        items = queries.ids_to_ask(shown, order=chosen.pop("order"))
        try:
            made = make_round(dataset=dataset, items=items, by=request.user, **chosen)
        except NothingToAskError as error:
            form.add_error(None, str(error))
        else:
            return redirect("labeling:round", slug, made.pk)
    titles = {name: str(kind.title) for name, kind in KINDS.items()}
    context = {
        "dataset": dataset,
        "section": "browse",
        "form": form,
        "chips": chips.chips_of(shown, kinds=titles),
        "asked": len(queries.ids_to_ask(shown, order="listed")),
        "query": shown.filter.query(),
    }
    return render(request, "quality/ask.html", context, status=422 if form.errors else 200)
