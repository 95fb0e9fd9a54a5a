"""What was written to a dataset, as triggers count it."""

from django.db import models

ANY_DATASET = 0  # of rows that do not say whose they are


class WriteArea(models.TextChoices):
    """What figures that are kept rest on; docs/decisions/kept-figures.md says why."""

    PLACES = "places", "Items: which there are, their split, exclusion, source and time"
    LABELS = "labels", "Labels of items, and names of classes"
    FLAGS = "flags", "Flags, and the items that they are about"


class Write(models.Model):
    """One or more writes; triggers alone add rows, so that no service can forget to.

    Rows are added, never changed: nobody waits for somebody else who writes. `n` is drawn at
    random, so that a sum never comes back after a transaction was undone.
    """

    of = models.PositiveBigIntegerField(help_text="dataset; not a foreign key, it goes first")
    area = models.CharField(max_length=6, choices=WriteArea)
    n = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["of", "area", "n"], name="writes_summed")]

    def __str__(self) -> str:
        return f"{self.area} of {self.of}"
