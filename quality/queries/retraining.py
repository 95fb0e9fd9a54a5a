"""Which datasets are to be trained again by themselves, by the policy that their leads chose."""

from datetime import datetime, timedelta

from django.db.models import Count, Exists, Max, OuterRef, Q
from django.db.models.functions import Coalesce

from labeling.models import (
    Annotation,
    Dataset,
    Item,
    Job,
    JobState,
    LabelChange,
    Retrain,
    Round,
    RoundOrder,
    Upload,
)
from labeling.queries.datasets import listed
from labeling.queries.night import NIGHT_LASTS, night_of
from quality.models import Decision

NEWS_QUIET = timedelta(minutes=3)  # longer than a person rests between two decisions
# They change splits, files or what is left out, which no label and no decision tells of.
CHANGING_JOBS = ("import", "restore", "take_back", "withdraw")


def datasets_with_news(*, now: datetime) -> list[Dataset]:
    """Datasets that were trained before and are due again.

    A lead starts the first training. Who lets a round ask first what teaches the model most
    wants it trained as answers come: there the number holds under every policy.
    """
    learning = Round.objects.filter(
        dataset=OuterRef("pk"), closed_at__isnull=True, order=RoundOrder.LEARNING
    )
    busy = Q(jobs__kind="train", jobs__state__in=[JobState.QUEUED, JobState.RUNNING])
    asked = Max("jobs__created_at", filter=Q(jobs__kind="train"))
    candidates = (
        listed(Dataset.objects.filter(runs__finished_at__isnull=False, runs__is_imported=False))
        .exclude(pk__in=Dataset.objects.filter(busy).values("pk"))
        .annotate(learns=Exists(learning), last_training=Coalesce(asked, Max("runs__created_at")))
        .exclude(learns=False, retrain=Retrain.NEVER)
    )
    return [dataset for dataset in candidates.order_by("pk") if _is_due(dataset, now=now)]


def _is_due(dataset: Dataset, *, now: datetime) -> bool:
    since: datetime = dataset.last_training  # type: ignore[attr-defined]
    learns: bool = dataset.learns  # type: ignore[attr-defined]
    night = night_of(now)
    is_night = dataset.retrain == Retrain.NIGHTLY and since < night <= now < night + NIGHT_LASTS
    if is_night and _has_changed(dataset, since):
        return True
    if not learns and dataset.retrain != Retrain.AFTER:
        return False
    count, last = news_since(dataset, since)
    is_quiet = last is not None and last < now - NEWS_QUIET
    return count >= dataset.retrain_after and is_quiet and _has_changed(dataset, since)


def news_since(dataset: Dataset, since: datetime) -> tuple[int, datetime | None]:
    """Count the answers and decisions that came since, and when the last one came.

    Answers of rounds that do not count, such as a blind score, label nothing.
    """
    answers = Annotation.objects.filter(
        round__dataset=dataset,
        round__counts=True,
        created_at__gt=since,
        withdrawn_at__isnull=True,
        is_gold=False,
    ).aggregate(n=Count("pk"), last=Max("created_at"))
    decided = Decision.objects.filter(dataset=dataset, at__gt=since)
    decisions = decided.aggregate(n=Count("pk"), last=Max("at"))
    times = [seen["last"] for seen in (answers, decisions) if seen["last"]]
    return answers["n"] + decisions["n"], max(times, default=None)


def _has_changed(dataset: Dataset, since: datetime) -> bool:
    """Tell whether a version of now could differ; the training itself compares the digests."""
    return (
        LabelChange.objects.filter(item__dataset=dataset, at__gt=since).exists()
        or Decision.objects.filter(dataset=dataset, at__gt=since).exists()
        or Item.objects.filter(dataset=dataset, created_at__gt=since).exists()
        or Job.objects.filter(
            dataset=dataset, kind__in=CHANGING_JOBS, finished_at__gt=since
        ).exists()
        or Upload.objects.filter(dataset=dataset, applied_at__gt=since).exists()
    )
