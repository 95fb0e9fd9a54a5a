"""What each person did in a period, round by round: the basis of pay."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q, Sum

from labeling.models import Annotation, Annotator, Answer, Dataset

COLUMNS = (
    "annotator", "round", "answers", "of_these_surplus", "unsure", "unusable", "skipped",
    "withdrawn", "hours", "price", "pay", "first", "last",
)  # fmt: skip
SECONDS_AN_HOUR = 3_600


def work_record(dataset: Dataset, *, start: datetime, end: datetime) -> Iterator[list[Any]]:
    """Yield a row for each person and round with answers from `start` until before `end`."""
    people = Annotator.objects.filter(dataset=dataset).select_related("user").in_bulk()
    for row in _by_person_and_round(dataset, start, end):
        yield [
            str(people[row["annotator"]]),
            row["round__name"],
            row["answers"],
            row["surplus"],
            row["unsure"],
            row["unusable"],
            row["skipped"],
            row["withdrawn"],
            None if row["seconds"] is None else round(row["seconds"] / SECONDS_AN_HOUR, 3),
            row["round__price"],
            None if row["round__price"] is None else row["round__price"] * row["answers"],
            row["first"].isoformat(timespec="seconds"),
            row["last"].isoformat(timespec="seconds"),
        ]


def _by_person_and_round(dataset: Dataset, start: datetime, end: datetime) -> Any:
    """Count a person's time for all that they answered, also what they took back later."""
    kept, given = Q(withdrawn_at__isnull=True), ~Q(answer=Answer.SKIP)
    rows = Annotation.objects.filter(
        round__dataset=dataset, created_at__gte=start, created_at__lt=end
    )
    return (
        rows.order_by("annotator", "round")
        .values("annotator", "round", "round__name", "round__price")
        .annotate(
            answers=Count("pk", filter=kept & given),
            surplus=Count("pk", filter=kept & given & Q(is_surplus=True)),
            unsure=Count("pk", filter=kept & Q(answer=Answer.UNSURE)),
            unusable=Count("pk", filter=kept & Q(answer=Answer.UNUSABLE)),
            skipped=Count("pk", filter=kept & Q(answer=Answer.SKIP)),
            withdrawn=Count("pk", filter=~kept),
            seconds=Sum("seconds"),
            first=Min("created_at"),
            last=Max("created_at"),
        )
    )
