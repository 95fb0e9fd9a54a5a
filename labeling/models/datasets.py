"""Datasets with their classes, guidelines, uploads and versions."""

from django.conf import settings
from django.db import models
from django.db.models import Q


class Media(models.TextChoices):
    IMAGE = "image", "Images"
    AUDIO = "audio", "Sound"
    TEXT = "text", "Text"


class Split(models.TextChoices):
    TRAIN = "train", "Train"
    VALIDATION = "validation", "Validation"
    TEST = "test", "Test"
    NONE = "none", "None"


class Retrain(models.TextChoices):
    NEVER = "never", "Never: somebody presses Train"
    AFTER = "after", "After so many new answers or decisions"
    NIGHTLY = "nightly", "At night, when something changed"


class Dataset(models.Model):
    """Items, classes, members and the question that they answer."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    media = models.CharField(max_length=10, choices=Media)
    question = models.CharField(max_length=200, default="What is this?")
    task_card = models.JSONField(
        default=dict, blank=True, help_text="user, purpose, success: free text by heading"
    )
    success = models.JSONField(
        default=dict,
        blank=True,
        help_text="metric, positive, precision, costs and shares by class id, reason, volume a "
        "day, seconds a case; empty: accuracy",
    )
    answers_wanted = models.PositiveSmallIntegerField(default=1)
    attribute = models.CharField(
        max_length=60, blank=True, help_text="what is declared of annotators, e.g. native language"
    )
    retrain = models.CharField(max_length=10, choices=Retrain, default=Retrain.NEVER)
    retrain_after = models.PositiveIntegerField(
        default=50, help_text="answers and decisions; what one person does in ten minutes"
    )
    has_second_reviewer = models.BooleanField(
        default=False, help_text="bulk decisions and changes of test items wait for one"
    )
    draws_unflagged = models.BooleanField(
        default=True, help_text="mixes items drawn at random into the queue of label errors"
    )
    hour_price = models.DecimalField(
        max_digits=8, decimal_places=2, null=True, blank=True, help_text="of an hour of reviewing"
    )
    files_changed = models.PositiveIntegerField(
        default=0,
        help_text="times that items came, went or got other bytes: what was read is old then",
    )
    is_demo = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(
        null=True, blank=True, help_text="out of the list since then; its rounds stopped with it"
    )
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="labeling.Membership", related_name="datasets"
    )

    viewer_role = ""  # set by access for the page at hand; not a column

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(answers_wanted__range=(1, 50)), name="answers_wanted_1_to_50"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ClassRole(models.TextChoices):
    ORDINARY = "ordinary", "Ordinary"
    OTHER = "other", "Other or unknown"
    BACKGROUND = "background", "Background or silence"


# Letters that annotate and review pages use themselves (unsure, skip, undo, ...) are left out.
CLASS_KEYS = (
    *(f"Digit{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)),
    *(f"Key{letter}" for letter in "QWETIODFHJKLCVB"),
)


class LabelClass(models.Model):
    """One possible answer; retired ones stay for the versions that used them."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="classes")
    name = models.CharField(max_length=100)
    key = models.CharField(
        max_length=12, blank=True, help_text="KeyboardEvent.code, e.g. Digit1 or KeyQ"
    )
    role = models.CharField(max_length=20, choices=ClassRole, default=ClassRole.ORDINARY)
    position = models.PositiveIntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged_from"
    )

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="one_class_a_name"),
            models.UniqueConstraint(
                fields=["dataset", "key"],
                condition=~Q(key="") & Q(retired_at__isnull=True),
                name="one_class_a_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def meant(self) -> "LabelClass":
        """The class that an answer naming this one counts for."""
        return self.merged_into or self

    @property
    def key_cap(self) -> str:
        """What stands on the button: Digit1 -> 1, KeyQ -> Q."""
        return self.key.removeprefix("Digit").removeprefix("Key")


class Guideline(models.Model):
    """One numbered version of what annotators read beside the item (Markdown)."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="guidelines")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    change = models.CharField(max_length=200, blank=True, help_text="what is new in it")
    examples = models.JSONField(
        default=list, blank=True, help_text="item, class, is_right, note: as they were published"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="one_guideline_a_number"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} guideline v{self.number}"


class Example(models.Model):
    """An item that the next guideline shows: right for its class, or wrong for it."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    item = models.ForeignKey("labeling.Item", on_delete=models.CASCADE, related_name="examples")
    label = models.ForeignKey(LabelClass, on_delete=models.CASCADE, related_name="examples")
    is_right = models.BooleanField(default=True)
    note = models.CharField(max_length=120, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["label__position", "-is_right", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["item", "label"], name="one_example_an_item_and_class"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} is {'' if self.is_right else 'not '}{self.label}"


class Version(models.Model):
    """A frozen state of items, labels and splits: one gzipped JSONL manifest."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="sha256 of the manifest in storage")
    items = models.PositiveIntegerField()
    labelled = models.PositiveIntegerField()
    note = models.CharField(max_length=200, blank=True)
    tag = models.CharField(max_length=40, blank=True, help_text="a name beside the number")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="one_version_a_number"),
            models.UniqueConstraint(
                fields=["dataset", "tag"], condition=~Q(tag=""), name="one_version_a_tag"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"
