"""Notices: written where something happens, told to a webhook and by mail.

A webhook is told at least once: a worker that is killed between the answer and the row that says
so tells again, with the same id. Each request is signed, as HMAC-SHA256 of its body.
"""

import hashlib
import hmac
import json
import secrets
import smtplib
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from labeling.models import Dataset, Job, Notice, NoticeKind, User, Webhook
from labeling.queries import notices as queries

MOST_ATTEMPTS = 12  # the last one about half a day after the first
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(hours=3)
ANSWER_SECONDS = 10
MOST_WORDS = 300
MOST_ERROR = 200
SIGNATURE = "X-Winnow-Signature"
DELIVERY = "X-Winnow-Delivery"


class NotToldError(Exception):
    """The webhook did not take a notice; the words say why."""


def tell(
    *,
    dataset: Dataset,
    kind: NoticeKind,
    about: str,
    words: str,
    path: str,
    now: datetime,
    by: User | None = None,
) -> None:
    """Write that something happened; the same thing is written once, and no news to who did it."""
    notice = Notice(
        dataset=dataset,
        kind=kind,
        about=about,
        words=words[:MOST_WORDS],
        path=path,
        next_attempt_at=now,
    )
    Notice.objects.bulk_create([notice], ignore_conflicts=True)
    if by:
        for made in Notice.objects.filter(dataset=dataset, kind=kind, about=about):
            made.read_by.add(by)


def mark_inbox_seen(*, user: User, now: datetime) -> None:
    """Take what is in the inbox off the list of what is new."""
    User.objects.filter(pk=user.pk).update(inbox_seen_at=now)


def mark_watched(*, job: Job, user: User) -> None:
    """Take the end of a job, which this person has watched, off the list of what is new."""
    for notice in Notice.objects.filter(dataset=job.dataset_id, about=about(job)):
        notice.read_by.add(user)


def about(job: Job) -> str:
    """Name a job in its notice."""
    return f"job {job.pk}"


# ---- webhook ----


@transaction.atomic
def set_webhook(*, dataset: Dataset, url: str, by: User, now: datetime) -> Webhook:
    """Send notices from now on to an address, under a new secret; earlier ones are not sent."""
    dataset.notices.filter(told_at__isnull=True).update(told_at=now)
    fresh = {"url": url, "secret": secrets.token_hex(32), "made_by": by, "created_at": now}
    return Webhook.objects.update_or_create(dataset=dataset, defaults=fresh)[0]


def remove_webhook(*, dataset: Dataset) -> None:
    """Send nothing any more."""
    Webhook.objects.filter(dataset=dataset).delete()


def try_webhook(*, dataset: Dataset) -> None:
    """Send one request that tells nothing; raises NotToldError when it is not taken."""
    webhook = Webhook.objects.filter(dataset=dataset).first()
    if webhook is None:
        raise NotToldError(_("There is none."))
    send(webhook, {"kind": "try", "dataset": dataset.slug}, delivery="try")


def deliver(*, notice: int, now: datetime) -> bool:
    """Tell a notice to its webhook; False when another worker does, or it was not taken."""
    rows = Notice.objects.filter(pk=notice, told_at__isnull=True)
    found = rows.select_related("dataset__webhook").filter(next_attempt_at__lte=now).first()
    if found is None or not hasattr(found.dataset, "webhook"):
        return False
    wait = min(FIRST_WAIT * 2**found.attempts, LONGEST_WAIT)
    again_at = now + wait if found.attempts + 1 < MOST_ATTEMPTS else None
    mine = rows.filter(attempts=found.attempts)
    if not mine.update(attempts=F("attempts") + 1, next_attempt_at=again_at):
        return False
    try:
        send(found.dataset.webhook, body_of(found), delivery=str(found.pk))
    except NotToldError as error:
        rows.update(error=str(error)[:MOST_ERROR])
        _put_off(found, now=now, until=now + wait)
        return False
    rows.update(told_at=now, error="")
    return True


def _put_off(notice: Notice, *, now: datetime, until: datetime) -> None:
    """Let others for a webhook that is away wait with it: each try may take ten seconds."""
    others = Notice.objects.filter(dataset=notice.dataset, told_at__isnull=True)
    others.filter(next_attempt_at__lte=now).update(next_attempt_at=until)


def body_of(notice: Notice) -> dict[str, Any]:
    """Return what a webhook is told."""
    return {
        "id": notice.pk,
        "kind": notice.kind,
        "dataset": notice.dataset.slug,
        "words": notice.words,
        "path": notice.path,
        "at": notice.at.isoformat(),
    }


def send(webhook: Webhook, body: dict[str, Any], *, delivery: str) -> None:
    """Send one signed request.

    Raises
    ------
    NotToldError
        When no answer between 200 and 299 came.
    """
    content = json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
    signed = hmac.new(webhook.secret.encode(), content, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Winnow",
        SIGNATURE: f"sha256={signed}",
        DELIVERY: delivery,
    }
    asked = urllib.request.Request(webhook.url, content, headers, method="POST")
    try:
        with _OPENER.open(asked, timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError as error:
        raise NotToldError(_("It answered %(code)d.") % {"code": error.code}) from error
    except (OSError, HTTPException) as error:  # no such host, refused, timed out; no HTTP
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise NotToldError(_("It could not be reached: %(why)s") % {"why": reason}) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed request goes to the address that was named, nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


# ---- mail ----


def wish_mail(*, user: User, wanted: bool, email: str, now: datetime) -> None:
    """Write to somebody of what happens from now on, or no more."""
    user.gets_mail, user.email, user.mailed_at = wanted, email, now
    user.save(update_fields=["gets_mail", "email", "mailed_at"])


def mail(*, user: User, now: datetime) -> int:
    """Write one mail with what happened since the last one; returns how many things it names."""
    found = queries.to_mail(user, now=now)
    if not found:
        return 0
    mine = User.objects.filter(pk=user.pk, mailed_at=user.mailed_at)
    if not mine.update(mailed_at=found[-1].at):
        return 0  # another worker writes
    lines = [f"{row.dataset.name}: {row.words}\n  {row.path}" for row in found]
    subject = f"Winnow: {found[0].words}" if len(found) == 1 else f"Winnow: {len(found)} notices"
    try:
        send_mail(subject, "\n\n".join(lines) + "\n", settings.DEFAULT_FROM_EMAIL, [user.email])
    except (OSError, smtplib.SMTPException):
        User.objects.filter(pk=user.pk).update(mailed_at=user.mailed_at)
        raise
    return len(found)
