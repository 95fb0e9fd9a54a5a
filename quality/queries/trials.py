"""Reads about files that somebody tried a model on."""

from labeling.models import Job, User
from quality.models import Run


def newest_trial(run: Run, *, by: User) -> Job | None:
    """What a person tried last on this run; what others tried is theirs."""
    tried = Job.objects.filter(dataset=run.dataset, kind="try_model", by=by)
    return tried.filter(options__run=run.number).order_by("-pk").first()
