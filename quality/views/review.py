"""Review: one flag at a time, one key each. Every page also works as plain forms."""

import random
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.ids import id_of, ids_of
from labeling.models import Dataset
from labeling.queries import job_outlook
from quality.detectors import KINDS, Kind
from quality.forms.decisions import DecideForm
from quality.models import Action, Decision, Flag, FlagState, Proposal
from quality.queries import bulk, unflagged
from quality.queries import flags as counting
from quality.queries import review as queries
from quality.queries import second as waiting
from quality.queries.expected import expected_right, is_backed
from quality.queries.flags import DOUBTED
from quality.queries.openings import has_test
from quality.queries.runs import open_job
from quality.services import decisions, drawing, second
from quality.services.choices import EXCLUDE_REASONS, choices_for


@login_required
def review(request: access.MemberRequest, slug: str) -> HttpResponse:
    """The queues of a dataset."""
    dataset = access.dataset_for(request.user, slug)
    tally = counting.tally_of(dataset)
    counts = counting.counts_by_kind(dataset, tally=tally)
    expected, fresh = expected_right(dataset, counts, tally=tally), counting.came_up(dataset)
    lines = [
        (kind, counts[kind.name], expected[kind.name], fresh.get(kind.name))
        for kind in KINDS.values()
        if dataset.media in kind.media and kind.is_doubt and kind.name in counts
    ]
    lines.sort(key=lambda line: (-line[2].value, -line[1].open))
    job = open_job(dataset, "detect", "train")
    context = {
        "dataset": dataset,
        "section": "review",
        "lines": lines,
        "open": sum(line[1].open for line in lines),
        "has_items": bool(lines) or dataset.items.exists(),
        "first": lines[0][0].name if lines and lines[0][1].open else "",
        "second": waiting.standing(dataset, request.user),
        "job": job,
        **(job_outlook(job) if job else {}),
    }
    return render(request, "quality/review.html", context)


@login_required
def queue(request: access.MemberRequest, slug: str, kind: str) -> HttpResponse:
    """One queue: the flag that the address names, else the worst one that is open."""
    dataset, row = _queue(request, slug, kind)
    later = _later(request.GET.get("later", ""))
    asked = id_of(request.GET.get("flag", ""))
    if asked is not None:
        flag = queries.flag_in(dataset, row.name, asked)
        if flag is None:
            raise Http404("no such flag")
    else:
        flag = queries.first_open(dataset, row.name, later=later)
    return render(request, "quality/queue.html", _page(request, dataset, row, flag, later=later))


@login_required
def flag(request: access.MemberRequest, slug: str, kind: str, pk: int) -> HttpResponse:
    """One flag as a fragment, fetched ahead by the page."""
    dataset, row = _queue(request, slug, kind)
    found = queries.flag_in(dataset, row.name, pk)
    if found is None:
        raise Http404("no such flag")
    context = _flag(request, dataset, row, found, later=[])
    return render(request, "quality/_flag.html", context)


@login_required
@require_POST
def decide(request: access.MemberRequest, slug: str, kind: str, pk: int) -> HttpResponse:
    """Carry a decision out; the answer says what the queue looks like now."""
    dataset, row = _queue(request, slug, kind)
    found = queries.flag_in(dataset, row.name, pk)
    form = DecideForm(request.POST, dataset=dataset)
    if found is None:
        raise Http404("no such flag")
    if not form.is_valid():
        return _refuse(request, dataset, row, found, words=_("This cannot be done here."))
    try:
        made = second.decide(
            flag=found,
            reviewer=request.user,
            leads=dataset.viewer_role in access.LEADS,
            **form.cleaned_data,
        )
    except decisions.TouchesTestError as question:
        return _refuse(request, dataset, row, found, words=str(question), confirm=True)
    except decisions.DecisionRefusedError as refusal:
        return _refuse(request, dataset, row, found, words=str(refusal))
    except decisions.FlagClosedError as closed:
        if not _is_repeated(found, request, form):
            return _closed(request, dataset, row, words=str(closed))
        made = None
    if row.name == DOUBTED:
        drawing.draw(dataset=dataset, rng=random.SystemRandom())
    return _go_on(request, dataset, row, told=_told(made, found), decided=found)


def _told(made: Decision | Proposal | None, flag: Flag) -> str:
    """Say what cannot be seen of a decision: who waits, and what it did not do."""
    if isinstance(made, Proposal):
        return _("It waits for a second reviewer.")
    if made and made.action == Action.ROUND and KINDS[flag.kind].about != "item":
        n = len(made.after)
        words = ngettext(
            "%(n)s item is asked about: see Annotate.",
            "%(n)s items are asked about: see Annotate.",
            n,
        )
        return words % {"n": n}
    if made is None or made.action != Action.SPLIT:
        return ""
    n = queries.of_class_in_test(flag)
    words = ngettext(
        "Split. %(n)s test item is still “%(label)s”: relabel it in Browse.",
        "Split. %(n)s test items are still “%(label)s”: relabel them in Browse.",
        n,
    )
    return words % {"n": n, "label": flag.given} if n else ""


@login_required
@require_POST
def undo(request: access.MemberRequest, slug: str, kind: str) -> HttpResponse:
    """Take back this person's last decision in the queue and show its flag again."""
    dataset, row = _queue(request, slug, kind)
    last = counting.last_decision(dataset, request.user, row.name)
    proposed = waiting.last_of_first(dataset, request.user, row.name)
    words = _("There is nothing of yours to undo here.")
    try:
        if proposed and (last is None or proposed.at > last.at):
            second.withdraw(proposal=proposed, by=request.user)
            return _undone(request, dataset, row, pk=proposed.flag_id or 0)
        if last:
            undone = second.undo(decision=last, by=request.user)
            if isinstance(undone, Proposal):
                return _go_on(
                    request, dataset, row, told=_("Taking it back waits for a second reviewer.")
                )
            return _undone(request, dataset, row, pk=last.flag_id or 0)
    except (*second.UNDO_REFUSED, second.SecondRefusedError) as refusal:
        words = str(refusal)
    if _is_script(request):
        return JsonResponse({"message": words}, status=409)
    messages.warning(request, words)
    return redirect("quality:queue", slug, row.name)


def _undone(request: access.MemberRequest, dataset: Dataset, row: Kind, *, pk: int) -> HttpResponse:
    if _is_script(request):
        return JsonResponse({"flag": pk, **_standing(request, dataset, row)})
    return redirect(f"{reverse('quality:queue', args=[dataset.slug, row.name])}?flag={pk}")


def _queue(request: access.MemberRequest, slug: str, kind: str) -> tuple[Dataset, Kind]:
    dataset = access.dataset_for(request.user, slug)
    if kind not in KINDS:
        raise Http404("no such kind of flag")
    return dataset, KINDS[kind]


def _later(text: str) -> list[int]:
    return ids_of(text.split(","))


def _is_script(request: access.MemberRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


def _is_repeated(flag: Flag, request: access.MemberRequest, form: DecideForm) -> bool:
    """Whether the same person sent the same again, as a page does after a lost answer."""
    newest = flag.decisions.order_by("-pk").first()
    same_action = newest is not None and newest.action == form.cleaned_data["action"]
    return bool(newest and same_action and newest.by_id == request.user.pk)


def _page(
    request: access.MemberRequest,
    dataset: Dataset,
    row: Kind,
    flag: Flag | None,
    *,
    later: list[int],
) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "section": "review",
        "later": ",".join(map(str, later)),
        "reasons": EXCLUDE_REASONS[dataset.media],
        **_counts(request, dataset, row),
        "flag": None,
        **(_flag(request, dataset, row, flag, later=later) if flag else {}),
        **_rail(dataset, row, flag, later=later),
    }


def _flag(
    request: access.MemberRequest, dataset: Dataset, row: Kind, flag: Flag, *, later: list[int]
) -> dict[str, Any]:
    evidence = queries.evidence_of(flag)
    is_open = flag.state == FlagState.OPEN and bool(evidence.items)
    disputed = waiting.disagreement(flag=flag) if is_open else None
    proposal = waiting.waiting_about(flag) if flag.state == FlagState.WAITING else None
    about = proposal or disputed
    return {
        "dataset": dataset,
        "kind": row,
        "flag": flag,
        "evidence": evidence,
        "is_open": is_open,
        "in_test": queries.of_class_in_test(flag) if row.about == "class" else 0,
        "choices": choices_for(
            flag,
            evidence.every,
            roles=evidence.roles,
            classes=queries.class_keys(dataset),
            people=decisions.people_asked(flag),
            backed=is_backed(flag) if row.about not in ("item", "set") else flag.is_likely,
        )
        if is_open
        else None,
        "put_off": ",".join(map(str, [*later, flag.pk])),
        "proposal": proposal,
        "wanted": waiting.words_of(about) if about else "",
        "disputed": disputed,
        "in_sample": is_open and flag.pk in bulk.sample_of(dataset, row.name),
        "own_dispute": waiting.own_dispute(disputed, request.user),
    }


def _counts(request: access.MemberRequest, dataset: Dataset, row: Kind) -> dict[str, Any]:
    tally = counting.tally_of(dataset, row.name)
    counted = counting.counts_by_kind(dataset, row.name, tally=tally)
    counts = counted.get(row.name, counting.QueueCounts())
    own = counting.reviewed(dataset).filter(by=request.user)
    paces = counting.paces_of(own, [row.name])
    each = paces.seconds(1, row.name)
    sample = bulk.open_sample(dataset, row.name) if row.bulk else None
    return {
        "dataset": dataset,
        "sample": sample,
        "said": bulk.judged(sample, proposed=row.bulk) if sample else None,
        "suits_many": bool(row.bulk) and counts.open > bulk.SAMPLE,
        "kind": row,
        "counts": counts,
        "fresh": counting.came_up(dataset, row.name).get(row.name),
        "each": each,
        "is_pace_elsewhere": row.name not in paces.by_kind,
        "expected": expected_right(dataset, [row.name], tally=tally)[row.name]
        if counts.open
        else None,
        "is_sealed": row.name == DOUBTED and not counts.touches_test and has_test(dataset),
        "missed": unflagged.missed(dataset) if row.name == DOUBTED else None,
        "left": None if each is None else each * counts.open,
        "waiting": waiting.waiting(dataset).filter(flag__kind=row.name).count()
        if dataset.has_second_reviewer
        else 0,
    }


def _rail(dataset: Dataset, row: Kind, flag: Flag | None, *, later: list[int]) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "kind": row,
        "flag": flag,
        "upcoming": queries.upcoming(dataset, row.name, later=later),
        "sampled": bulk.sample_of(dataset, row.name) if row.bulk else [],
    }


def _standing(request: access.MemberRequest, dataset: Dataset, row: Kind) -> dict[str, Any]:
    """Return header and rail as they are now, for the page's script."""
    later = _later(request.POST.get("later", ""))
    rail = _rail(dataset, row, None, later=later)
    return {
        "counts": render_to_string(
            "quality/_queue_counts.html", _counts(request, dataset, row), request
        ),
        "rail": render_to_string("quality/_queue_rail.html", rail, request),
    }


def _go_on(
    request: access.MemberRequest,
    dataset: Dataset,
    row: Kind,
    *,
    told: str = "",
    decided: Flag | None = None,
) -> HttpResponse:
    if _is_script(request):
        return JsonResponse({"message": told, **_standing(request, dataset, row)})
    if told:
        messages.info(request, told)
    later = request.POST.get("later", "")
    sample = bulk.open_sample(dataset, row.name) if row.bulk else None
    if sample and decided and decided.pk in sample.sample and bulk.is_over(sample):
        return redirect("quality:bulk", dataset.slug, row.name)
    address = reverse("quality:queue", args=[dataset.slug, row.name])
    return redirect(f"{address}?later={later}" if later else address)


def _closed(
    request: access.MemberRequest, dataset: Dataset, row: Kind, *, words: str
) -> HttpResponse:
    """Say calmly that somebody was faster, and go on."""
    if _is_script(request):
        return JsonResponse({"message": words, **_standing(request, dataset, row)}, status=409)
    messages.info(request, words)
    return _go_on(request, dataset, row)


def _refuse(
    request: access.MemberRequest,
    dataset: Dataset,
    row: Kind,
    flag: Flag,
    *,
    words: str,
    confirm: bool = False,
) -> HttpResponse:
    if _is_script(request):
        return JsonResponse({"message": words, "confirm": confirm}, status=422)
    flag.refresh_from_db()
    context = _page(request, dataset, row, flag, later=_later(request.POST.get("later", "")))
    context |= {"refusal": words, "confirm": request.POST.get("action") if confirm else ""}
    return render(request, "quality/queue.html", context, status=422)
