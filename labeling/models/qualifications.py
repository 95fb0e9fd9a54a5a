"""What came of qualifications: attempts that ended, further ones, waivers."""

from django.conf import settings
from django.db import models

from labeling.models.people import Annotator
from labeling.models.rounds import Round


class QualifyingAct(models.TextChoices):
    PASSED = "passed", "Passed"
    FAILED = "failed", "Not passed"
    AGAIN = "again", "Started again"
    GRANTED = "granted", "Given another attempt"
    WAIVED = "waived", "Waived"
    REVOKED = "revoked", "Taken back"


class QualifyingEvent(models.Model):
    """One row of an annotator's history in a qualification; append-only."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="qualifying")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="qualifying")
    act = models.CharField(max_length=8, choices=QualifyingAct)
    right = models.PositiveIntegerField(default=0, help_text="of an attempt that ended")
    answered = models.PositiveIntegerField(default=0)
    items = models.JSONField(
        default=list,
        blank=True,
        help_text="of an attempt begun again, by id; none: those that everybody is asked first",
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["round", "annotator", "id"], name="qualifying_of_person")]

    def __str__(self) -> str:
        return f"{self.annotator} in {self.round}: {self.act}"
