"""What was said to annotators whose answers looked odd: warnings, pauses, what came of them."""

from django.conf import settings
from django.db import models

from labeling.models.people import Annotator


class GuardAct(models.TextChoices):
    WARN = "warn", "Warned"
    PAUSE = "pause", "Paused"
    REPLY = "reply", "Message"
    RESUME = "resume", "Resumed"
    END = "end", "Ended"


class GuardEvent(models.Model):
    """One row of an annotator's guard history; append-only, the last act is what holds."""

    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="guard_events")
    act = models.CharField(max_length=8, choices=GuardAct)
    kinds = models.JSONField(default=list, blank=True, help_text="what looked odd")
    text = models.CharField(max_length=500, blank=True, help_text="a message or a lead's reason")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["annotator", "id"], name="guard_event_by_annotator")]

    def __str__(self) -> str:
        return f"{self.annotator}: {self.act}"
