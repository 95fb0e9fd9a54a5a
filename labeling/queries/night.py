"""When night is, in which datasets are trained whose leads chose that."""

from datetime import datetime, timedelta

from django.utils import timezone

NIGHT_BEGINS = 2  # o'clock, in the server's time zone (WINNOW_TIME_ZONE)
NIGHT_LASTS = timedelta(hours=4)  # a server that was off at two still trains before work begins


def night_of(now: datetime) -> datetime:
    """Return when the night began that is, or that was last."""
    here = timezone.localtime(now)
    begins = here.replace(hour=NIGHT_BEGINS, minute=0, second=0, microsecond=0, fold=0)
    return begins if begins <= here else begins - timedelta(days=1)


def next_night(now: datetime) -> datetime:
    """Return when the next night begins."""
    return night_of(now) + timedelta(days=1)
