"""What every page's frame needs: workers alive, news in the inbox."""

from typing import Any

from django.http import HttpRequest

from labeling import queries
from labeling.queries import notices


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return what base.html shows around every page."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    user = request.user
    return {
        "workers_alive": queries.workers_alive(),
        "inbox_new": lambda: notices.unseen(user),  # asked only where it is shown
    }
