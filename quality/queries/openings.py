"""Reads about the sealed test items: which runs could be asked, who looked when and why."""

from django.db.models import QuerySet

from labeling.models import Dataset, Split
from quality.models import Run, TestOpening

MOST_SHOWN = 200  # looks listed, newest first; all are counted


def openings(dataset: Dataset) -> list[TestOpening]:
    """Return the newest looks at the test items."""
    rows = TestOpening.objects.filter(dataset=dataset).select_related("run__version", "by")
    return list(rows.order_by("-at", "-pk")[:MOST_SHOWN])


def openable(dataset: Dataset) -> QuerySet[Run]:
    """Return the finished trainings, newest first: those that can predict test items."""
    done = Run.objects.filter(dataset=dataset, is_imported=False, finished_at__isnull=False)
    return done.select_related("version").order_by("-number")


def has_test(dataset: Dataset) -> bool:
    """Whether there is a labelled test item to look at."""
    labelled = dataset.items.filter(split=Split.TEST, label__isnull=False, excluded="")
    return labelled.exists()
