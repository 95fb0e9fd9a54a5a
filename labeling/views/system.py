"""What operators and their monitors look at."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from labeling import access
from labeling.queries import system as queries


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database and Redis answer, else 503."""
    parts = queries.health()
    ok = all(parts.values())
    return JsonResponse({"ok": ok, **parts}, status=200 if ok else 503)


@login_required
def system(request: access.MemberRequest) -> HttpResponse:
    """Show workers, queues, jobs, disk and versions to who runs the server."""
    if not request.user.is_staff:
        raise Http404("no such page")
    broker = queries.broker()
    context = {
        "section": "system",
        "broker": broker,
        "queues": queries.queue_states(broker),
        "running": queries.running_jobs(),
        "failed": queries.failed_jobs(),
        "disk": queries.disk(),
        "versions": queries.versions(broker),
        "weight_files": queries.weight_files(),
    }
    return render(request, "labeling/system.html", context)
