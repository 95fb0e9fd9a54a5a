"""Browse: the grid with its filters, the histogram beside it, and what is done to a selection."""

import secrets
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Dataset, Media, RoundKind, Split, User
from labeling.queries import rounds
from quality.detectors import titles
from quality.forms.decisions import SelectionForm
from quality.graphs import has_graph
from quality.models import Decision, Proposal
from quality.queries import browse as queries
from quality.queries import chips
from quality.queries import second as waiting
from quality.queries.facets import facets_of
from quality.queries.filters import Filter, Shown, look_up, not_understood, read_filter
from quality.queries.histograms import histogram_of
from quality.queries.regression import PINNED
from quality.queries.tiles import tiles_of
from quality.services import second
from quality.services import selection as selecting
from quality.services.choices import EXCLUDE_REASONS

MOST_QUERY_ON_TILES = 600  # characters; a hundred links with pasted keys would weigh megabytes
RANDOM_SEEDS = 10**6
MOST_DIGITS = 10  # of a run's number


@login_required
def browse(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Items by the hundred, filtered by what stands in the address."""
    dataset = access.dataset_for(request.user, slug)
    shown = shown_for(request, dataset)
    page = queries.page_of(
        shown, after=request.GET.get("after", ""), before=request.GET.get("before", "")
    )
    context = {
        "dataset": dataset,
        "section": "browse",
        "filter": shown.filter,
        "not_understood": not_understood(request.GET, shown.filter),
        "total": _total(shown, page),
        "groups": chips.groups_of(shown, queries.outline_of(dataset), None, kinds=titles()),
        "chips": chips.chips_of(shown, kinds=titles()),
        "sorts": chips.sorts_of(shown),
        "carried": chips.carried(shown.filter),
        "may_lead": dataset.viewer_role in access.LEADS,
        **_around(shown, page),
        **for_actions(dataset, request.user),
    }
    return render(request, "quality/browse.html", context)


@login_required
def counts(request: access.MemberRequest, slug: str) -> HttpResponse:
    """How many items each box would show and all show together; fetched after the page itself."""
    dataset = access.dataset_for(request.user, slug)
    shown = shown_for(request, dataset)
    facets = facets_of(shown)
    context = {
        "dataset": dataset,
        "filter": shown.filter,
        "total": facets.total,
        "shown": min(facets.total, queries.RANDOM_ITEMS),
        "groups": chips.groups_of(shown, queries.outline_of(dataset), facets, kinds=titles()),
    }
    return render(request, "quality/_browse_counts.html", context)


def _total(shown: Shown, page: queries.Page) -> int | None:
    """Return how many items there are, where the page itself shows all of them."""
    is_part = page.previous or page.next or shown.filter.random is not None
    return None if is_part else len(page.items)


@login_required
def histogram(request: access.MemberRequest, slug: str) -> HttpResponse:
    """How one measurement is spread over the items shown; fetched after the page itself."""
    dataset = access.dataset_for(request.user, slug)
    found = histogram_of(shown_for(request, dataset))
    context = {"dataset": dataset, "histogram": found}
    return render(request, "quality/_browse_histogram.html", context)


def _around(shown: Shown, page: queries.Page) -> dict[str, Any]:
    """Return the items of a page and the queries that lead away from it."""
    chosen = shown.filter
    query = chosen.query()
    carried = query if len(query) <= MOST_QUERY_ON_TILES else ""
    seed = secrets.randbelow(RANDOM_SEEDS)
    return {
        "query": query,
        "tiles": tiles_of(shown, page.items, query=carried),
        "previous_query": chosen.query(before=page.previous) if page.previous else "",
        "next_query": chosen.query(after=page.next) if page.next else "",
        "last_query": chosen.query(before=queries.END) if page.next else "",
        "random_query": replace(chosen, random=seed).query(),
        "clear_query": Filter(sort=chosen.sort).query(),
    }


def for_actions(dataset: Dataset, user: User) -> dict[str, Any]:
    """Return what the bar of actions and its dialogs offer."""
    last = queries.last_selection_decision(dataset, user)
    proposed = waiting.last_about_items(dataset, user)
    is_newer = proposed and (last is None or proposed.at > last.at)
    last_done = chips.done_words(last) if last else ""
    return {
        "choices": rounds.choices(dataset),
        "reasons": EXCLUDE_REASONS[Media(dataset.media)],
        "splits": Split.choices,
        "last_done": waiting.words_of(proposed) if proposed and is_newer else last_done,
        "has_neighbours": has_graph(dataset.pk),
        "pinned": PINNED,
        "is_owner": dataset.viewer_role in access.OWNERS,
    }


def shown_for(request: access.MemberRequest, dataset: Dataset) -> Shown:
    """Return what the address asks for."""
    chosen = read_filter(request.GET, media=dataset.media)
    return look_up(dataset, chosen, run=queries.run_of(dataset, chosen.run))


def _every(request: access.MemberRequest, dataset: Dataset) -> list[int] | None:
    """Return all items of the page's filter, when they were selected instead of single ones."""
    if "all" not in request.POST:
        return None
    chosen = read_filter(QueryDict(request.POST.get("back", "")), media=dataset.media)
    return queries.ids_of(look_up(dataset, chosen, run=queries.run_of(dataset, chosen.run)))


@login_required
@require_POST
def selection(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Do something to the items selected; the answer names what happened and how to undo it."""
    dataset = access.dataset_for(request.user, slug)
    form = SelectionForm(request.POST, dataset=dataset, every=_every(request, dataset))
    if not form.is_valid():
        return _answer(request, slug, " ".join(map(str, form.non_field_errors())), status=422)
    sent = form.cleaned_data
    if sent["action"] == "like":
        return redirect(f"{_browse_url(slug)}?{Filter(like=tuple(sent['items'])).query()}")
    if sent["action"] in ("move", "round"):
        access.demand_role(dataset, access.LEADS)
    try:
        decision = _carry_out(sent, dataset=dataset, by=request.user)
    except selecting.TestItemsError as question:
        return _answer(request, slug, _test_words(question.count), status=409, test=question.count)
    except selecting.NothingToChangeError as nothing:
        return _answer(request, slug, str(nothing), status=422)
    if isinstance(decision, Proposal):
        return _answer(request, slug, _("It waits for a second reviewer."), proposal=decision.pk)
    return _answer(request, slug, chips.done_words(decision), decision=decision.pk)


def _carry_out(sent: dict[str, Any], *, dataset: Dataset, by: User) -> Decision | Proposal:
    chosen = selecting.Selection(
        dataset,
        sent["items"],
        by=by,
        seconds=sent["seconds"] or 0.0,
        test_confirmed=sent["test_confirmed"],
        without_test=sent["without_test"],
    )
    match sent["action"]:
        case "relabel":
            return selecting.relabel(chosen, label=sent["label"])
        case "exclude":
            return selecting.exclude(chosen, reason=sent["reason"])
        case "include":
            return selecting.include(chosen)
        case "move":
            return selecting.move(chosen, split=sent["split"])
        case "tag":
            is_pin = " ".join(sent["tag"].split()) == PINNED
            return selecting.pin(chosen) if is_pin else selecting.tag(chosen, name=sent["tag"])
        case "pin":
            return selecting.pin(chosen)
        case "unpin":
            return selecting.unpin(chosen)
        case "flag":
            return selecting.flag(chosen, note=sent["note"], by=by)
        case _:
            return selecting.ask(
                chosen,
                name=sent["round_name"] or _("From Browse"),
                kind=sent["round_kind"] or RoundKind.CLASSIFY,
                answers_wanted=sent["answers_wanted"] or dataset.answers_wanted,
            )


def _test_words(count: int) -> str:
    words = ngettext(
        "%(n)s of these is a test item. Accuracy is measured on it: change it only when it is "
        "wrong, not to please a model.",
        "%(n)s of these are test items. Accuracy is measured on them: change them only where "
        "they are wrong, not to please a model.",
        count,
    )
    return words % {"n": count}


@login_required
@require_POST
def undo(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Take back this person's last decision about a selection."""
    dataset = access.dataset_for(request.user, slug)
    last = queries.last_selection_decision(dataset, request.user)
    proposed = waiting.last_about_items(dataset, request.user)
    try:
        if proposed and (last is None or proposed.at > last.at):
            second.withdraw(proposal=proposed, by=request.user)
            return _answer(request, slug, _("Taken back: nobody is asked about it."))
        if last is None:
            return _answer(request, slug, _("There is nothing of yours to undo here."), status=422)
        undone = second.undo(decision=last, by=request.user)
    except (*second.UNDO_REFUSED, second.SecondRefusedError) as refusal:
        return _answer(request, slug, str(refusal), status=422)
    if isinstance(undone, Proposal):
        return _answer(request, slug, _("Taking it back waits for a second reviewer."))
    words = chips.undone_words(last)
    return _answer(request, slug, f"{words} {chips.left_words(last, undone)}".rstrip())


def _answer(
    request: access.MemberRequest, slug: str, words: str, *, status: int = 200, **more: int
) -> HttpResponse:
    """Answer the page's script in JSON, and a plain form with a notice."""
    if request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse({"text": words, **more}, status=status)
    (messages.success if status == 200 else messages.warning)(request, words)
    if (number := request.POST.get("to_run", "")).isdecimal() and len(number) < MOST_DIGITS:
        return redirect("quality:run", slug, int(number))
    return redirect(f"{_browse_url(slug)}?{request.POST.get('back', '')}")


def _browse_url(slug: str) -> str:
    return reverse("quality:browse", args=[slug])
