"""When night is, in which datasets are trained whose leads chose that."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

NIGHT_LASTS = timedelta(hours=4)  # a server that was off as it began still trains before work does


def night_of(now: datetime) -> datetime:
    """Return when the night began that is, or that was last: WINNOW_NIGHT in WINNOW_TIME_ZONE."""
    here = timezone.localtime(now)
    at = settings.NIGHT_BEGINS
    begins = here.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0, fold=0)
    return begins if begins <= here else begins - timedelta(days=1)


def next_night(now: datetime) -> datetime:
    """Return when the next night begins."""
    return night_of(now) + timedelta(days=1)
