"""What every page's frame needs: workers alive."""

from typing import Any

from django.http import HttpRequest

from labeling import queries


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return what base.html shows around every page."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    return {"workers_alive": queries.workers_alive()}
