"""What a dataset holds, counted for the page that asks before it is deleted."""

from dataclasses import dataclass

from labeling.models import Annotation, Dataset


@dataclass(frozen=True)
class Goes:
    """Counts of what goes with a dataset."""

    items: int
    answers: int
    decisions: int
    versions: int
    runs: int
    members: int


def what_goes(dataset: Dataset) -> Goes:
    """Count it."""
    return Goes(
        items=dataset.items.count(),
        answers=Annotation.objects.filter(round__dataset=dataset).count(),
        decisions=dataset.decisions.count(),
        versions=dataset.versions.count(),
        runs=dataset.runs.count(),
        members=dataset.memberships.count(),
    )
