"""Disputes: one item at a time; everybody's answers stand there after the lead's own."""

import uuid
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Dataset, Media, RoundItem, User
from labeling.queries import annotators, rounds
from labeling.queries import disputes as queries
from labeling.services import annotations
from quality.forms.decisions import DisputeForm, DisputesForm, OwnAnswerForm
from quality.models import Decision, Proposal
from quality.queries import browse, chips
from quality.queries import second as waiting
from quality.services import disputes as services
from quality.services import second, selection
from quality.services.choices import EXCLUDE_REASONS


@login_required
def disputes(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show the next dispute, or the one that the address names."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    return _page(request, dataset, DisputesForm(request.GET))


def _page(
    request: access.MemberRequest,
    dataset: Dataset,
    form: DisputesForm,
    *,
    confirm: str = "",
    status: int = 200,
) -> HttpResponse:
    if not form.is_valid():
        raise Http404("no such dispute")
    where = form.cleaned_data
    waits = waiting.places_proposed(dataset)
    place = queries.dispute_at(dataset, **{**where, "later": [*where["later"], *waits]})
    own = queries.own_answer(place, request.user) if place else None
    last, proposed = _last(dataset, request.user)
    last_done = waiting.words_of(proposed) if proposed else chips.done_words(last) if last else ""
    open_ones = queries.open_disputes(dataset, round=where["round"])
    context = {
        "dataset": dataset,
        "section": "crowd",
        "where": where,
        "query": urlencode(_carried(where)),
        "later_query": urlencode(_carried(where, put_off=place)),
        "left": open_ones.exclude(pk__in=waits).count(),
        "waits": open_ones.filter(pk__in=waits).count() if waits else 0,
        "place": place,
        "own": _words(own) if own else "",
        "own_label": own.label if own else None,
        "said": _said(place) if place and own else [],
        "choices": rounds.choices(dataset),
        "reasons": EXCLUDE_REASONS[Media(dataset.media)],
        "confirm": confirm,
        "last_done": last_done,
    }
    return render(request, "quality/disputes.html", context, status=status)


def _last(dataset: Dataset, user: User) -> tuple[Decision | None, Proposal | None]:
    """Return what undo takes back: the newest decision about items, or what waits and is newer."""
    last = browse.last_selection_decision(dataset, user)
    proposed = waiting.last_about_items(dataset, user)
    return last, proposed if proposed and (last is None or proposed.at > last.at) else None


def _words(given: Any) -> str:
    return annotators.words_for(given.answer, label=given.label, asked=given.asked)


def _said(place: RoundItem) -> list[tuple[str, int, str]]:
    """Return what was answered, how often and by whom, the commonest first."""
    answers = queries.answers_to(place)
    votes = Counter(_words(given) for given in answers)
    people: dict[str, list[str]] = {words: [] for words in votes}
    for given in answers:
        people[_words(given)].append(str(given.annotator))
    return [(words, n, ", ".join(people[words])) for words, n in votes.most_common()]


def _carried(where: dict[str, Any], *, put_off: RoundItem | None = None) -> dict[str, Any]:
    later = [*where["later"], *([put_off.pk] if put_off else [])]
    wanted = {"round": where["round"], "later": ",".join(map(str, dict.fromkeys(later)))}
    return {name: value for name, value in wanted.items() if value}


def _place(request: access.MemberRequest, slug: str, pk: int) -> tuple[Dataset, RoundItem]:
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    return dataset, access.place_in(dataset, pk)


@login_required
@require_POST
def answer(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Keep the lead's own answer, beside and not among those that were asked for."""
    dataset, place = _place(request, slug, pk)
    form = OwnAnswerForm(request.POST, dataset=dataset)
    if form.is_valid():
        annotator = annotations.annotator_for(dataset=dataset, user=request.user)
        try:
            annotations.record_annotation(
                round=place.round,
                item=place.item_id,
                annotator=annotator,
                client_id=uuid.uuid4(),
                now=timezone.now(),
                **form.cleaned_data,
            )
        except annotations.OwnAnswerError:
            messages.warning(request, _("You said yourself what this is; somebody else decides."))
    return _back(request, slug, place=pk)


def _back(request: access.MemberRequest, slug: str, *, place: int | None = None) -> HttpResponse:
    form = DisputesForm(request.GET)
    carried = _carried(form.cleaned_data) if form.is_valid() else {}
    query = urlencode(carried | ({"place": place} if place else {}))
    return redirect(f"{reverse('quality:disputes', args=[slug])}?{query}")


@login_required
@require_POST
def decide(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """End a dispute by a label, an exclusion or an adjudicate round."""
    dataset, place = _place(request, slug, pk)
    form = DisputeForm(request.POST, dataset=dataset)
    if not form.is_valid():
        messages.error(request, _("Choose a class, leave the item out, or send it on."))
        return _back(request, slug, place=pk)
    try:
        made = _carry_out(form.cleaned_data, place, request)
    except selection.TestItemsError:
        shown = DisputesForm({**request.GET.dict(), "place": pk})
        confirm = str(form.cleaned_data["action"])
        return _page(request, dataset, shown, confirm=confirm, status=409)
    except selection.NothingToChangeError as refusal:
        messages.info(request, str(refusal))
    else:
        if isinstance(made, Proposal):
            messages.info(request, _("It is a test item: a second reviewer is asked to agree."))
    return _back(request, slug)


def _carry_out(
    sent: dict[str, Any], place: RoundItem, request: access.MemberRequest
) -> Decision | Proposal:
    by, seconds = request.user, sent["seconds"] or 0.0
    confirmed = sent["test_confirmed"]
    match sent["name"]:
        case "relabel":
            return services.decide(
                place, label=sent["label"], by=by, seconds=seconds, test_confirmed=confirmed
            )
        case "exclude":
            return services.exclude(
                place, reason=sent["argument"], by=by, seconds=seconds, test_confirmed=confirmed
            )
        case _:
            return services.send_on(place, by=by, seconds=seconds)


@login_required
@require_POST
def undo(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Take back this person's last decision about items."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    last, proposed = _last(dataset, request.user)
    try:
        if proposed:
            second.withdraw(proposal=proposed, by=request.user)
            messages.success(request, _("Taken back: nobody is asked about it."))
            return _back(request, slug, place=proposed.choice.get(waiting.PLACE))
        if last is None:
            messages.info(request, _("There is nothing of yours to undo here."))
            return _back(request, slug)
        undone = second.undo(decision=last, by=request.user)
    except (*second.UNDO_REFUSED, second.SecondRefusedError) as refusal:
        messages.warning(request, str(refusal))
        return _back(request, slug)
    if isinstance(undone, Proposal):
        messages.info(request, _("Taking it back waits for a second reviewer."))
        return _back(request, slug)
    messages.success(request, chips.undone_words(last))
    return _back(request, slug, place=last.after[0].get("place"))
