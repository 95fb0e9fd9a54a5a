"""The truth about background work."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from labeling.models.datasets import Dataset


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


WORDS = {
    "import": _("Import"),
    "import_annotations": _("Import of answers"),
    "import_predictions": _("Import of predictions"),
    "train": _("Training"),
    "detect": _("Checks"),
    "compare_parts": _("Comparing parts"),
    "prove": _("Before/After"),
    "open_test": _("Opening the test items"),
    "bulk": _("Deciding many at once"),
    "contributions": _("What each change contributed"),
    "delete_dataset": _("Deleting a dataset"),
    "package_model": _("Making the model file"),
    "try_model": _("Trying the model"),
    "withdraw": _("Withdrawing consent"),
    "take_back": _("Taking an import back"),
    "cut": _("Cutting to the loudest second"),
    "measure_again": _("Measuring files again"),
    "restore": _("Bringing a version back"),
    "score": _("Measuring success"),
    "measure_crowd": _("Measuring the crowd"),
}


class Job(models.Model):
    """One piece of background work; every write of it is conditional on `attempt`."""

    dataset = models.ForeignKey(
        Dataset, on_delete=models.CASCADE, null=True, blank=True, related_name="jobs"
    )
    kind = models.CharField(max_length=30, help_text="a name registered in labeling.tasks.KINDS")
    queue = models.CharField(max_length=20, default="default")
    state = models.CharField(max_length=10, choices=JobState, default=JobState.QUEUED)
    options = models.JSONField(default=dict)
    task_id = models.CharField(max_length=60, blank=True, help_text="of the message being worked")
    attempt = models.PositiveIntegerField(default=0)
    fruitless = models.PositiveSmallIntegerField(
        default=0, help_text="attempts begun since one kept something"
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    detail = models.JSONField(default=dict, help_text="live figures for the page")
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(auto_now_add=True, help_text="when last put on the queue")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "kind"],
                condition=Q(state__in=["queued", "running"]),
                name="one_open_job_of_a_kind",
            ),
        ]
        indexes = [models.Index(fields=["state", "id"], name="job_by_state")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} ({self.state})"

    def get_absolute_url(self) -> str:
        return reverse("labeling:job", args=[self.pk])

    @property
    def title(self) -> str:
        """What the work is called on pages."""
        return str(WORDS.get(self.kind, self.kind))

    @property
    def is_open(self) -> bool:
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def share(self) -> float:
        """Done so far, 0 to 1."""
        return self.done / self.total if self.total else 0.0
