"""Contents, items, labels with their history, and what imports brought."""

from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, Q

from labeling.models.datasets import Dataset, LabelClass, Split

#: The content of every item whose person withdrew consent: no bytes have this hash.
WITHDRAWN = "0" * 64


class Content(models.Model):
    """The bytes of one file, opened and measured once; items point at it."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    type = models.CharField(max_length=10, help_text="real type: jpeg, wav, text, ...")
    mime = models.CharField(max_length=60)
    size = models.PositiveBigIntegerField(help_text="bytes")
    pixel_hash = models.CharField(max_length=64, blank=True, help_text="of decoded samples")
    phash = models.CharField(max_length=16, blank=True, help_text="64 bits in hex, empty if none")
    is_flat = models.BooleanField(default=False, help_text="too plain for a perceptual hash")
    facts = models.JSONField(default=dict, help_text="what the one decode measured")
    oddities = models.JSONField(default=list, help_text="[[code, reason], ...] of the bytes alone")
    measured_by = models.PositiveSmallIntegerField(
        default=1, db_index=True, help_text="number of the measures, mlcore.files.MEASURED_BY"
    )
    text = models.TextField(blank=True, help_text="of a text item")
    preview = models.CharField(max_length=64, blank=True, help_text="sha256 of thumbnail or peaks")
    preview_mime = models.CharField(max_length=60, blank=True)
    display = models.CharField(max_length=64, blank=True, help_text="sha256 of a showable copy")
    display_mime = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.type} {self.sha256[:8]}"


class LabelSource(models.TextChoices):
    NONE = "", "None"
    IMPORT = "import", "Import"
    CONSENSUS = "consensus", "Consensus"
    REVIEW = "review", "Review"


class Item(models.Model):
    """One image, clip or text; its label is what holds now, LabelChange how it came."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=400)
    content = models.ForeignKey(Content, on_delete=models.PROTECT, related_name="items")
    split = models.CharField(max_length=12, choices=Split, default=Split.NONE)
    source_group = models.CharField(max_length=150, blank=True)
    captured_at = models.DateTimeField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    odd = models.JSONField(default=list, blank=True, help_text="[[code, reason], ...]")
    is_odd = models.GeneratedField(
        expression=ExpressionWrapper(~Q(odd=[]), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    label = models.ForeignKey(
        LabelClass, on_delete=models.PROTECT, null=True, blank=True, related_name="items"
    )
    label_source = models.CharField(max_length=12, choices=LabelSource, blank=True, default="")
    excluded = models.CharField(max_length=200, blank=True, help_text="reason; empty: included")
    withdrawn_at = models.DateTimeField(
        null=True, blank=True, help_text="its person withdrew consent: only a tombstone is left"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | ~Q(excluded=""),
                name="withdrawn_stays_excluded",
            ),
            models.UniqueConstraint(fields=["dataset", "key"], name="one_item_a_key"),
            models.CheckConstraint(
                condition=Q(label__isnull=True, label_source="")
                | (Q(label__isnull=False) & ~Q(label_source="")),
                name="label_has_a_source",
            ),
        ]
        indexes = [
            models.Index(fields=["dataset", "label", "id"], name="item_by_label"),
            models.Index(fields=["dataset", "split", "id"], name="item_by_split"),
            models.Index(fields=["dataset", "source_group"], name="item_by_group"),
            # Covers the counts beside Browse: read alone, without the rows (bench/pages.py).
            models.Index(
                fields=["dataset", "excluded", "label", "split", "is_odd"], name="item_counts"
            ),
            models.Index(
                fields=["dataset", "key"],
                condition=Q(withdrawn_at__isnull=False),
                name="item_withdrawn",
            ),
            # What splits share, read alone as well (bench/pages.py): sources, and the last moments.
            models.Index(
                fields=["dataset", "excluded", "source_group", "split"], name="item_sources"
            ),
            models.Index(fields=["dataset", "excluded", "split", "captured_at"], name="item_times"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def content_mark(self) -> str:
        """Names the item's bytes, and what is shown of them, in addresses that browsers keep."""
        shown = self.content
        return f"{shown.sha256[:8]}{shown.preview[:8]}{shown.display[:8]}"


class ItemTag(models.Model):
    """A word that somebody put on an item."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "name"], name="one_tag_a_name")]

    def __str__(self) -> str:
        return self.name


class LabelChange(models.Model):
    """One row of an item's label history; append-only.

    Only how sure one is of a label that stands is written anew, as more answers come.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="label_changes")
    before = models.ForeignKey(
        LabelClass, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    after = models.ForeignKey(
        LabelClass, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    source = models.CharField(max_length=12, choices=LabelSource, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.before} to {self.after}"


class Upload(models.Model):
    """One import: what was sent, how to read it, and its report."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=500, help_text="of the stored zip or folder")
    options = models.JSONField(default=dict, help_text="labels file, columns, split, replace")
    job = models.ForeignKey("labeling.Job", on_delete=models.SET_NULL, null=True, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    applied_at = models.DateTimeField(
        null=True, help_text="when a person last took over what it had left to one"
    )

    def __str__(self) -> str:
        return f"{self.name} into {self.dataset}"


class Outcome(models.TextChoices):
    IMPORTED = "imported", "Imported"
    UNCHANGED = "unchanged", "Unchanged"
    REJECTED = "rejected", "Rejected"
    CONFLICT = "conflict", "Same key, other content"
    DIFFERENT = "different", "Other label or metadata"
    REPLACED = "replaced", "Replaced"
    UPDATED = "updated", "Updated"
    PRESENT = "present", "Here under another key"


class UploadEntry(models.Model):
    """What became of one member of an upload, or of one line of its manifest."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="entries")
    name = models.CharField(max_length=400, help_text="path inside the upload")
    line = models.PositiveIntegerField(default=0, help_text="of the manifest; 0: none")
    outcome = models.CharField(max_length=12, choices=Outcome)
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    is_odd = models.BooleanField(default=False)
    proposed = models.JSONField(
        default=dict, blank=True, help_text="label, metadata not yet applied"
    )
    item = models.ForeignKey(Item, on_delete=models.SET_NULL, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["upload", "name", "line"], name="one_entry_a_member"),
        ]
        indexes = [
            models.Index(fields=["upload", "outcome"], name="entry_by_outcome"),
            # A report is counted from it alone (bench/pages.py).
            models.Index(fields=["upload", "code", "outcome", "is_odd"], name="entry_counts"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"
