"""Reads about notices: a lead's inbox, and what is still to be told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.models import Dataset, Notice, NoticeKind, Role, User, Webhook
from labeling.queries.by_hand import execute, moment
from labeling.queries.people import REVIEWING

NOTICES_A_PAGE = 50
DUE_AT_ONCE = 50
# A row is dated before its transaction ends; by then no older one can still appear.
COMMITTED = timedelta(minutes=1)
LEADING = (Role.OWNER, Role.LEAD)
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


def _listed(roles: Iterable[str]) -> str:
    return ", ".join(f"'{role!s}'" for role in roles)


# What `inbox_of` shows, for the frame of every page: from a queryset it is a tenth of a page.
UNSEEN = f"""
SELECT COUNT(*) FROM labeling_notice notice
JOIN labeling_dataset dataset ON dataset.id = notice.dataset_id
JOIN labeling_membership member ON member.dataset_id = dataset.id
WHERE dataset.archived_at IS NULL AND member.user_id = %(user)s AND notice.at > %(since)s
  AND (member.role IN ({_listed(LEADING)})
    OR member.role IN ({_listed(REVIEWING)}) AND notice.kind = '{NoticeKind.SECOND!s}')
  AND NOT EXISTS (SELECT 1 FROM labeling_notice_read_by seen
    WHERE seen.notice_id = notice.id AND seen.user_id = %(user)s)
"""


def inbox_of(user: User) -> QuerySet[Any]:
    """Return what happened in the datasets that somebody leads, newest first.

    Those who only review are told of what waits for a second one. `is_read` says that this
    person watched it happen on its page, or did it.
    """
    live = Dataset.objects.filter(archived_at__isnull=True)
    led = live.filter(memberships__user=user, memberships__role__in=LEADING)
    reviewed = live.filter(memberships__user=user, memberships__role__in=REVIEWING)
    is_asked = Q(kind=NoticeKind.SECOND, dataset__in=reviewed)
    rows = Notice.objects.filter(Q(dataset__in=led) | is_asked)
    watched = Notice.read_by.through.objects.filter(notice=OuterRef("pk"), user=user)
    return rows.annotate(is_read=Exists(watched)).select_related("dataset").order_by("-pk")


def unseen(user: User) -> int:
    """Return how much of it came after the inbox was opened last, and was not watched."""
    since = moment(user.inbox_seen_at or BEFORE_ALL)
    [(n,)] = execute(UNSEEN, {"user": user.pk, "since": since})
    return int(n)


def due(*, now: datetime) -> list[int]:
    """Return notices (by id) that a webhook has not taken yet and is due to be told of."""
    rows = Notice.objects.filter(
        told_at__isnull=True, next_attempt_at__lte=now, dataset__webhook__isnull=False
    )
    return list(rows.order_by("pk").values_list("pk", flat=True)[:DUE_AT_ONCE])


def webhook_of(dataset: Dataset) -> dict[str, Any]:
    """Return where notices go, and the newest one that was not taken."""
    waiting = dataset.notices.filter(told_at__isnull=True, attempts__gt=0)
    return {
        "webhook": Webhook.objects.filter(dataset=dataset).first(),
        "untold": waiting.exclude(error="").first(),
    }


def people_to_mail() -> QuerySet[User]:
    """Return who wants mail and has an address."""
    return User.objects.filter(gets_mail=True, is_active=True).exclude(email="")


def to_mail(user: User, *, now: datetime) -> list[Notice]:
    """Return what happened since somebody was written to last, oldest first."""
    window = Q(at__lte=now - COMMITTED) & (Q(at__gt=user.mailed_at) if user.mailed_at else Q())
    return list(inbox_of(user).filter(window).order_by("pk")[:NOTICES_A_PAGE])
