"""Watching, cancelling and retrying background work."""

import json
from collections.abc import AsyncIterator, Callable

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from redis.exceptions import RedisError

from labeling import access, queries, tasks
from labeling.models import Job
from labeling.services import jobs, notices
from labeling.storage import DiskFullError
from labeling.views.downloads import let_go_of_database

KEEP_ALIVE_SECONDS = 15
ANSWER_SECONDS = 2  # of a Redis that lives


def start_job(request: HttpRequest, open_it: Callable[[], Job], *, already: str) -> None:
    """Open a job and send it, or tell the person why not; `already`: one is under way."""
    try:
        started = open_it()
    except jobs.JobOpenError:
        messages.info(request, already)
    except (jobs.Refused, DiskFullError) as refusal:
        messages.error(request, str(refusal))
    else:
        tasks.send(started)


@login_required
def job(request: access.MemberRequest, pk: int) -> HttpResponse:
    """One job's state: a fragment for htmx, a page of its own otherwise."""
    row = access.job_for(request.user, pk)
    context = {"job": row, "dataset": row.dataset, **queries.job_outlook(row)}
    if request.headers.get("HX-Request"):
        response = render(request, "labeling/_job.html", context)
        if not row.is_open:
            notices.mark_watched(job=row, user=request.user)
            response["HX-Trigger"] = "job-ended"
        return response
    return render(request, "labeling/job.html", context)


@login_required
@require_POST
def cancel_job(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.job_to_end(request.user, pk)
    tasks.stop(row)
    messages.info(request, _("Cancelled. What was done so far is kept; it can be started again."))
    return redirect(_back(request) or row.get_absolute_url())


@login_required
@require_POST
def retry_job(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.job_to_end(request.user, pk)
    try:
        again = jobs.retry_job(job=row)
    except jobs.JobOpenError as open_already:
        again = open_already.job
    except jobs.Refused as refusal:
        messages.error(request, str(refusal))
        return redirect(row.get_absolute_url())
    else:
        tasks.send(again)
    return redirect(again.get_absolute_url())


def _back(request: HttpRequest) -> str:
    """Return the page that sent the form, if it is a path of ours."""
    wanted = request.POST.get("next", "")
    if not wanted.startswith("/"):  # a redirect would take a plain word for a view's name
        return ""
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if is_ours else ""


async def job_events(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Server-sent events: the row first, then whatever the worker publishes."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    row = await sync_to_async(access.job_for)(user, pk)
    response = StreamingHttpResponse(_events(row), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _events(row: Job) -> AsyncIterator[str]:
    client = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
    )
    try:
        async with client.pubsub() as messages_of_job:
            await messages_of_job.subscribe(jobs.channel(row.pk))
            await messages_of_job.get_message(timeout=ANSWER_SECONDS)  # nothing is missed from here
            await _look_at(row)
            yield _event({"state": row.state, "done": row.done, "total": row.total})
            while row.is_open:
                message = await messages_of_job.get_message(
                    ignore_subscribe_messages=True, timeout=KEEP_ALIVE_SECONDS
                )
                if message is None:
                    yield ": still here\n\n"
                    await _look_at(row)
                    continue
                state = json.loads(message["data"])
                row.state = state["state"]
                yield _event(state)
    except RedisError:  # the page polls as well
        yield "event: lost\ndata: {}\n\n"
    finally:
        await client.aclose()


async def _look_at(row: Job) -> None:
    """Read how far the job is; a page that stays open for hours holds no database connection."""
    await row.arefresh_from_db(fields=["state", "done", "total"])
    await let_go_of_database()


def _event(state: dict[str, object]) -> str:
    return f"data: {json.dumps(state)}\n\n"
