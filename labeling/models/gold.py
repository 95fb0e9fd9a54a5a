"""Items whose answer is known: mixed in unseen, they tell whom to believe."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from labeling.models.datasets import LabelClass
from labeling.models.items import Item


class GoldSource(models.TextChoices):
    EXPERT = "expert", "Expert"
    AGREED = "agreed", "Agreed"


class GoldItem(models.Model):
    """A known answer; a corrected one is retired and another row takes its place."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="gold")
    label = models.ForeignKey(LabelClass, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=8, choices=GoldSource, default=GoldSource.EXPERT)
    why = models.CharField(max_length=200, blank=True, help_text="how one knows")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(retired_at__isnull=True), name="one_known_answer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} is known to be {self.label}"
