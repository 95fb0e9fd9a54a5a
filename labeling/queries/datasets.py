"""Datasets as their list shows them."""

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery

from labeling.models import Dataset, Item, JobState, LabelClass, Membership, User


def datasets_of(user: User) -> QuerySet[Dataset]:
    """Return the datasets that a user may see, newest first, with counts and their role."""
    shown = Dataset.objects.all() if user.is_staff else Dataset.objects.filter(members=user)
    items = Item.objects.filter(dataset=OuterRef("pk"), excluded="").order_by()
    counted = items.values("dataset").annotate(n=Count("pk"), labelled=Count("label"))
    return shown.annotate(
        n_items=Subquery(counted.values("n")),
        n_labelled=Subquery(counted.values("labelled")),
        n_classes=Subquery(
            LabelClass.objects.filter(dataset=OuterRef("pk"), retired_at__isnull=True)
            .order_by()
            .values("dataset")
            .annotate(n=Count("pk"))
            .values("n")
        ),
        n_jobs=Count(
            "jobs", filter=Q(jobs__state__in=[JobState.QUEUED, JobState.RUNNING]), distinct=True
        ),
        role=Subquery(
            Membership.objects.filter(dataset=OuterRef("pk"), user=user).values("role")[:1]
        ),
    ).order_by(F("created_at").desc(), "-pk")


def listed(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """Return those that nobody archived."""
    return datasets.filter(archived_at__isnull=True)


def archived(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """Return those that their owner archived."""
    return datasets.filter(archived_at__isnull=False)
