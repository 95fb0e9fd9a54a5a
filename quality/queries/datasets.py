"""Datasets as their list shows them: what waits in each, what was gained last, what is new."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Max, Q

from labeling.models import Notice, User
from labeling.queries.notices import LEADING
from labeling.queries.success import choices_of
from quality.models import UNFLAGGED, Comparison, Flag, FlagState
from quality.queries.success import Change, change_of


@dataclass(frozen=True)
class Row:
    """A dataset with what somebody who reviews or leads it wants to know first."""

    dataset: Any  # annotated by `labeling.queries.datasets`
    open_flags: int = 0
    gain: Change | None = None
    news: int = 0


def rows_of(datasets: list[Any], user: User) -> list[Row]:
    """Return the datasets of a list, with as many queries for many as for one."""
    pks = [dataset.pk for dataset in datasets]
    flags = Flag.objects.filter(dataset__in=pks, state=FlagState.OPEN).order_by()
    flags = flags.exclude(kind=UNFLAGGED)
    waiting = dict(flags.values_list("dataset").annotate(n=Count("pk")))
    gains, news = _gains(datasets), _news(pks, user)
    return [
        Row(dataset)
        if dataset.role == "annotator" and not user.is_staff
        else Row(
            dataset, waiting.get(dataset.pk, 0), gains.get(dataset.pk), news.get(dataset.pk, 0)
        )
        for dataset in datasets
    ]


def _gains(datasets: list[Any]) -> dict[int, Change]:
    """Return what the newest Before/After of each dataset showed, by what its success means."""
    choices = choices_of(datasets)
    done = (
        Comparison.objects.filter(dataset__in=[dataset.pk for dataset in datasets])
        .exclude(result={})
        .order_by()
    )
    newest = done.values("dataset").annotate(last=Max("pk")).values("last")
    return {
        row.dataset_id: change_of(row.result, choices.get(row.dataset_id))
        for row in Comparison.objects.filter(pk__in=newest)
    }


def _news(pks: list[int], user: User) -> dict[int, int]:
    """Return how many notices came since somebody opened each dataset that they lead."""
    visit = "dataset__memberships"
    rows = Notice.objects.filter(
        Q(**{f"{visit}__visited_at": None}) | Q(at__gt=F(f"{visit}__visited_at")),
        **{f"{visit}__user": user, f"{visit}__role__in": LEADING},
        dataset__in=pks,
    )
    return dict(rows.order_by().values_list("dataset").annotate(n=Count("pk")))
