"""Links of a report: within the app, to its full address in a file, or none."""

from typing import Any

from django import template
from django.utils.html import format_html

register = template.Library()


@register.simple_tag(takes_context=True)
def to(context: dict[str, Any], url: str) -> str:
    """Return the `href` of a link; a file that knows no `address` has links that lead nowhere."""
    address = context["address"]
    return "" if address is None or not url else format_html(' href="{}{}"', address, url)
