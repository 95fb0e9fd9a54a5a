"""Questions of annotators: asked once, answered by a lead, the reply seen."""

import uuid
from datetime import datetime

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import Annotator, Item, NoticeKind, Question, Round, User
from labeling.services import notices


@transaction.atomic
def ask_lead(
    *, round: Round, annotator: Annotator, client_id: uuid.UUID, text: str, item: Item | None = None
) -> Question:
    """Keep a question; the same client_id is one question, however often it is sent."""
    values = {"round": round, "annotator": annotator, "item": item, "text": text}
    question, is_new = Question.objects.get_or_create(client_id=client_id, defaults=values)
    if is_new:
        notices.tell(
            dataset=round.dataset,
            kind=NoticeKind.QUESTION,
            about=f"question {question.pk}",
            words=_("%(who)s asks: %(text)s") % {"who": annotator, "text": text},
            path=reverse("labeling:round", args=[round.dataset.slug, round.pk]),
            now=question.created_at,
        )
    return question


def reply_to(*, question: Question, text: str, by: User, now: datetime) -> None:
    """Give or change the reply; who asked sees it in My work, again when it changed."""
    Question.objects.filter(pk=question.pk).update(
        reply=text, replied_by=by, replied_at=now, seen_at=None
    )


def mark_replies_seen(*, user: User, now: datetime) -> None:
    """Take the replies that this person has read off the list of new ones."""
    unseen = Question.objects.filter(annotator__user=user, seen_at__isnull=True)
    unseen.filter(replied_at__isnull=False).update(seen_at=now)
