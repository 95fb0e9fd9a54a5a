"""What a lead wants to know of, and where it was told."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.models.datasets import Dataset


class NoticeKind(models.TextChoices):
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    PAUSED = "paused", _("Paused")
    QUESTION = "question", _("Question")
    GOLD = "wrong_gold", _("Check item in doubt")
    DISPUTES = "disputes", _("Disputes")
    DISAGREED = "disagreed", _("Reviewers disagree")
    SECOND = "second", _("Second review waits")


class Notice(models.Model):
    """Something that happened in a dataset; append-only but for its telling."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=12, choices=NoticeKind)
    about = models.CharField(max_length=60, help_text="the same thing is told once")
    words = models.CharField(max_length=300)
    path = models.CharField(max_length=300, help_text="of the page where it is dealt with")
    at = models.DateTimeField(auto_now_add=True)
    read_by = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="+", help_text="who watched it happen"
    )
    told_at = models.DateTimeField(
        null=True, blank=True, help_text="to the webhook, or that there was none"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "kind", "about"], name="told_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(told_at__isnull=True),
                name="notices_to_tell",
            )
        ]

    def __str__(self) -> str:
        return self.words


class Webhook(models.Model):
    """Where a dataset's notices are sent, each signed with the secret."""

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, related_name="webhook")
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=64)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.url
