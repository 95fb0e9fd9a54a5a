"""Rounds of asking, who holds which item, and what was answered."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from labeling.models.datasets import Dataset, Guideline, LabelClass
from labeling.models.items import Item
from labeling.models.people import Annotator


class RoundKind(models.TextChoices):
    CLASSIFY = "classify", "Classify"
    VERIFY = "verify", "Verify"
    QUALIFY = "qualify", "Qualify"
    ADJUDICATE = "adjudicate", "Adjudicate"
    PILOT = "pilot", "Pilot"


class Suggesting(models.TextChoices):
    OFF = "off", "Off"
    AFTER = "after", "After the answer"
    BEFORE = "before", "Beside the item"


class RoundOrder(models.TextChoices):
    FIXED = "", "As it was made"
    LEARNING = "learning", "What teaches the model most first"


class Round(models.Model):
    """One asking: these items, these people, this many answers each."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="rounds")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=RoundKind, default=RoundKind.CLASSIFY)
    purpose = models.CharField(max_length=200, blank=True)
    answers_wanted = models.PositiveSmallIntegerField(default=1)
    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, null=True, blank=True)
    people = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, help_text="nobody named: every member"
    )
    deadline = models.DateTimeField(null=True, blank=True)
    price = models.DecimalField(
        max_digits=8, decimal_places=4, null=True, blank=True, help_text="of an answer"
    )
    suggesting = models.CharField(
        max_length=8, choices=Suggesting, default=Suggesting.OFF, help_text="what the model thinks"
    )
    confident = models.FloatField(
        default=0.0, help_text="ask until so sure, at most `answers_wanted`; 0: always so many"
    )
    answers_least = models.PositiveSmallIntegerField(
        default=1, help_text="however sure; only where `confident` is set"
    )
    order = models.CharField(
        max_length=10,
        blank=True,
        choices=RoundOrder,
        default=RoundOrder.FIXED,
        db_column="asked_in",  # "order" is a word of SQL, and statements are written by hand
    )
    ordered_at = models.DateTimeField(
        null=True, blank=True, help_text="when a run put what is free in order last"
    )
    ordered_by = models.PositiveIntegerField(null=True, blank=True, help_text="number of that run")
    ordered_items = models.PositiveIntegerField(default=0, help_text="how many it put in order")
    gold_every = models.PositiveSmallIntegerField(
        default=0, help_text="one item in so many is a gold one; 0: none"
    )
    counts = models.BooleanField(
        default=True, help_text="its answers give labels and tell about people and classes"
    )
    requires = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="required_by",
        help_text="a qualification that people must have passed",
    )
    wording = models.JSONField(
        default=dict,
        blank=True,
        help_text="of a pilot: its name, question and guideline; empty: as the dataset has them",
    )
    beside = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="second",
        help_text="of a pilot's second wording: the round with the first",
    )
    pass_mark = models.PositiveSmallIntegerField(
        default=80, help_text="percent of a qualification's items that must be right"
    )
    attempts = models.PositiveSmallIntegerField(default=1, help_text="of each person to qualify")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(answers_wanted__range=(1, 50)), name="round_answers_1_to_50"
            ),
            models.CheckConstraint(
                condition=Q(answers_least__gte=1, answers_least__lte=F("answers_wanted")),
                name="round_least_within_wanted",
            ),
            models.CheckConstraint(
                condition=Q(pass_mark__range=(1, 100)), name="pass_mark_in_percent"
            ),
            models.CheckConstraint(
                condition=~Q(kind="qualify", counts=True), name="qualifying_gives_no_labels"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def asks(self) -> str:
        """The question that people read."""
        return str(self.wording.get("question") or self.dataset.question)

    @property
    def guideline_text(self) -> str:
        """The guideline that people read, in Markdown."""
        if self.wording:
            return str(self.wording["guideline"])
        return self.guideline.text if self.guideline else ""

    @property
    def wanted_first(self) -> int:
        """Answers that an item wants at first; more are asked for one by one where it helps."""
        if self.confident:
            return self.answers_least
        return 1 if self.is_learning else self.answers_wanted

    @property
    def is_learning(self) -> bool:
        return self.order == RoundOrder.LEARNING


class RoundItemState(models.TextChoices):
    OPEN = "open", "Open"
    SETTLED = "settled", "Settled"
    DISPUTED = "disputed", "Disputed"
    GOLD = "gold", "Gold: it measures people, and nobody's answer settles it"


NO_LIMIT = 32_767  # answers that a gold place takes: the column's largest value


class RoundItem(models.Model):
    """An item's place in a round; `taken` counts live claims and counted answers.

    Taking a place is a conditional update on `taken`, so two people can never
    hold the last place of the same item. An item that a round settled may also have a
    gold place in it.
    """

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="round_items")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="round_items")
    position = models.PositiveIntegerField()
    wanted = models.PositiveSmallIntegerField()
    taken = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=RoundItemState, default=RoundItemState.OPEN)
    is_random = models.BooleanField(
        default=False, help_text="drawn by lot and asked in that order, so that it speaks for all"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["round", "item"], condition=~Q(state="gold"), name="an_item_once_a_round"
            ),
            models.UniqueConstraint(
                fields=["round", "item"], condition=Q(state="gold"), name="a_gold_item_once_a_round"
            ),
            models.CheckConstraint(condition=Q(taken__lte=F("wanted")), name="taken_within_wanted"),
        ]
        indexes = [
            models.Index(
                fields=["round", "position"],
                condition=Q(state="open", taken__lt=F("wanted")),
                name="round_item_free",
            ),
            models.Index(fields=["round", "item"], name="round_item_by_item"),
        ]

    def __str__(self) -> str:
        return f"{self.item} in {self.round}"


class Claim(models.Model):
    """A short lease of one item of a round to one annotator."""

    round_item = models.ForeignKey(RoundItem, on_delete=models.CASCADE, related_name="claims")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="claims")
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    client_id = models.UUIDField(
        null=True, blank=True, help_text="of the request that got it, which may be repeated"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round_item", "annotator"], name="one_claim_each"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="claim_by_expiry")]

    def __str__(self) -> str:
        return f"{self.annotator} holds {self.round_item}"


class Answer(models.TextChoices):
    CLASS = "class", "A class"
    NO = "no", "Not the class asked about"
    UNSURE = "unsure", "Unsure"
    UNUSABLE = "unusable", "Unusable"
    SKIP = "skip", "Skipped"


class SuggestionShown(models.TextChoices):
    NEVER = "", "There was none"
    BEFORE = "before", "Beside the item"
    AFTER = "after", "After the answer"
    WITHHELD = "withheld", "Withheld, to measure its pull"


class Annotation(models.Model):
    """What one annotator answered about one item of a round; never deleted."""

    client_id = models.UUIDField(unique=True, default=uuid.uuid4)
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="annotations")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="annotations")
    annotator = models.ForeignKey(Annotator, on_delete=models.PROTECT, related_name="annotations")
    answer = models.CharField(max_length=10, choices=Answer)
    label = models.ForeignKey(LabelClass, on_delete=models.PROTECT, null=True, blank=True)
    asked = models.ForeignKey(
        LabelClass,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="the class that a verify round asked about",
    )
    is_parked = models.BooleanField(default=False, help_text="skipped, to come back by itself")
    suggestion = models.ForeignKey(
        LabelClass,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="what the model thought when the item was handed out",
    )
    suggestion_shown = models.CharField(max_length=8, choices=SuggestionShown, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="from shown to answered")
    is_surplus = models.BooleanField(default=False, help_text="came when enough were there")
    is_gold = models.BooleanField(default=False, help_text="asked to measure who answers")
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["round", "item", "annotator"],
                condition=Q(withdrawn_at__isnull=True),
                name="one_answer_each",
            ),
            models.CheckConstraint(
                condition=Q(answer="class", label__isnull=False)
                | (~Q(answer="class") & Q(label__isnull=True)),
                name="a_class_answer_names_its_class",
            ),
            models.CheckConstraint(
                condition=~Q(answer="no") | Q(asked__isnull=False),
                name="a_no_names_what_it_refuses",
            ),
        ]
        indexes = [
            # Where an annotator was last in a round (bench/annotate_load.py --answered).
            models.Index(fields=["annotator", "round", "id"], name="answer_by_annotator"),
            # What a person said about an item, withdrawn or not; without it SQLite reads
            # everything that they answered in the round.
            models.Index(fields=["round", "item", "annotator"], name="answer_by_item"),
            models.Index(
                fields=["annotator", "item"], condition=Q(is_gold=True), name="gold_answer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator} on {self.item_id}: {self.label or self.answer}"


class Question(models.Model):
    """What an annotator wants to know about an item or a round, and the lead's reply."""

    client_id = models.UUIDField(unique=True, default=uuid.uuid4)
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="questions")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, null=True, blank=True)
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="questions")
    text = models.CharField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)
    reply = models.CharField(max_length=1000, blank=True)
    replied_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    replied_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="the reply, by who asked")

    def __str__(self) -> str:
        return self.text


class Suggestion(models.Model):
    """What the newest run thinks of an item; only rounds that show it read it."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True)
    label = models.ForeignKey(LabelClass, on_delete=models.CASCADE, related_name="+")
    probability = models.FloatField(help_text="out of sample, 0 to 1")

    def __str__(self) -> str:
        return f"{self.label} for {self.item_id}"
