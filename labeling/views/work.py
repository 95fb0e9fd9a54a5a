"""My work, my answers and my questions; a lead's replies to them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling import access
from labeling.forms.ids import id_of
from labeling.forms.rounds import ReplyForm
from labeling.models import Annotation, RoundKind
from labeling.queries import annotators, feedback, gold, guards, qualifications
from labeling.queries import rounds as queries
from labeling.services import annotations, questions


@login_required
def my_work(request: access.MemberRequest) -> HttpResponse:
    """List the open rounds that wait for this person, and the replies to their questions."""
    work = annotators.work_of(request.user, now=timezone.now())
    asked = [(row, annotators.is_new(row)) for row in annotators.replies_for(request.user)]
    stops = guards.stopped_as(request.user)
    context = {
        "section": "my_work",
        "now": timezone.now(),
        "work": work.waiting,
        "finished": work.finished,
        "qualifications": qualifications.standings_for(request.user),
        "answers_today": work.answered_today,
        "asked": asked,
        "stops": stops,
        "stopped_in": {row.annotator.dataset_id: row.event.get_act_display() for row in stops},
        "checked": gold.own_results(request.user),
        "has_new": any(is_new for _question, is_new in asked),
    }
    return render(request, "labeling/my_work.html", context)


@login_required
@require_POST
def replies_seen(request: access.MemberRequest) -> HttpResponse:
    """Take the new replies off the list."""
    questions.mark_replies_seen(user=request.user, now=timezone.now())
    return redirect("labeling:my_work")


@login_required
@require_GET
def mine(request: access.MemberRequest, pk: int) -> HttpResponse:
    """List all that this person answered in a round; each answer can be changed."""
    asking = access.round_for(request.user, pk)
    annotator = annotations.annotator_for(dataset=asking.dataset, user=request.user)
    asked = request.GET.get("before", "")
    before = id_of(asked)
    if asked and before is None:
        raise Http404("no such page")
    rows, following = annotators.own_answers_page(asking, annotator, before=before)
    is_qualify = asking.kind == RoundKind.QUALIFY
    told = feedback.feedbacks_on(asking, rows) if is_qualify else {}
    context = {
        "dataset": asking.dataset,
        "section": "my_work",
        "round": asking,
        "is_qualify": is_qualify,
        "rows": [
            (
                row,
                annotators.words_for(row.answer, label=row.label, asked=row.asked),
                told.get(row.pk),
            )
            for row in rows
        ],
        "given": queries.given_in(asking, annotator),
        "next_url": f"?before={following}" if following else "",
        "is_later_page": before is not None,
    }
    return render(request, "labeling/my_answers.html", context)


def _words(row: Annotation) -> str:
    return annotators.words_for(row.answer, label=row.label, asked=row.asked)


@login_required
@require_POST
def reply(request: access.MemberRequest, slug: str, pk: int, question: int) -> HttpResponse:
    """Answer a question of an annotator."""
    asking = access.round_in(request.user, slug, pk, roles=access.LEADS)
    asked = get_object_or_404(asking.questions, pk=question)
    form = ReplyForm(request.POST)
    if form.is_valid():
        questions.reply_to(
            question=asked, text=form.cleaned_data["text"], by=request.user, now=timezone.now()
        )
        messages.success(request, _("Sent. %s sees it in My work.") % asked.annotator)
    else:
        messages.error(request, _("Write a reply of 1 to 1,000 characters."))
    return redirect("labeling:round", slug, pk)
