"""The report as one file that holds everything itself: style, pictures, waves."""

from pathlib import Path

from django.conf import settings
from django.template.loader import render_to_string

from quality.queries.report import Report

STYLE = Path("static", "css", "report.css")


def file_of(report: Report, *, address: str | None) -> str:
    """Return the HTML of a report; its links begin with `address`, without one there are none."""
    style = (settings.BASE_DIR / STYLE).read_text()
    told = {"report": report, "address": address, "style": style}
    return render_to_string("quality/report_file.html", told)
