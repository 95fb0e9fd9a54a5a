"""What machines doubt and people decide."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from labeling.models import Dataset, Item, Job, Version


class Run(models.Model):
    """One training of one version; its arrays lie in files, row i = manifest line i."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="runs")
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    is_imported = models.BooleanField(
        default=False, help_text="probabilities of another system, not a training of ours"
    )
    protocol = models.JSONField(help_text="mlcore.training.Protocol as a dict, seed included")
    backbone = models.CharField(max_length=120)
    classes = models.JSONField(default=list, help_text="class names, column order of the arrays")
    metrics = models.JSONField(default=dict, help_text="empty until the run is done")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="one_run_a_number"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} run {self.number}"

    @property
    def has_signal(self) -> bool:
        """Whether its probabilities say anything about labels, as `mlcore.signal` has it.

        Told of every training of ours: in accuracy, in mean recall, or in how it orders the class
        that success is about.
        """
        chosen = (self.metrics.get("success") or {}).get("order", {})
        found: bool = self.metrics.get("signal", {}).get("found", True)
        return found or chosen.get("found", False)


class TestOpening(models.Model):
    """One look at the sealed test items: counted, with its reason."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="test_openings")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="test_openings")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    reason = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.run} on test: {self.reason}"


class FlagState(models.TextChoices):
    OPEN = "open", "Open"
    DECIDED = "decided", "Decided"
    DISMISSED = "dismissed", "Dismissed"
    WAITING = "waiting", "Waiting for a second reviewer"
    GONE = "gone", "No longer raised"


class Flag(models.Model):
    """One doubt about a subject: an item, a pair, a class, a column, a split."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="flags")
    kind = models.CharField(max_length=30, help_text="a row of detectors.py")
    subject = models.CharField(max_length=64, help_text="stable digest of the sorted keys")
    given = models.CharField(max_length=100, blank=True, help_text="label under doubt")
    suggested = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=10, choices=FlagState, default=FlagState.OPEN)
    score = models.FloatField(help_text="0 to 1, higher is more suspicious")
    is_likely = models.BooleanField(default=True, help_text="expected right; else a candidate")
    expected = models.FloatField(
        default=0.5, help_text="share right that its check expects, before any decision"
    )
    reason = models.CharField(max_length=500)
    evidence = models.JSONField(default=dict)
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, blank=True)
    raised_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    items = models.ManyToManyField(Item, through="quality.FlagItem", related_name="flags")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "kind", "subject"],
                condition=Q(state="open"),
                name="one_open_flag_of_a_kind",
            ),
            models.CheckConstraint(condition=Q(score__range=(0, 1)), name="flag_score_0_to_1"),
        ]
        indexes = [
            models.Index(
                F("dataset"), F("kind"), F("state"), F("score").desc(), F("id"), name="flag_queue"
            ),
            # Browse walks it, most suspicious first (bench/pages.py).
            models.Index(F("dataset"), F("state"), F("score").desc(), name="flag_worst"),
            # Flags are counted from it alone (bench/pages.py).
            models.Index(
                fields=["dataset", "state", "kind", "given", "is_likely", "expected"],
                name="flag_counts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


#: Kind of the flags that doubt nothing: items drawn at random from those no check doubts.
UNFLAGGED = "unflagged"


class FlagItem(models.Model):
    """One item that a flag is about, and its part in it."""

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="flag_items")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="flag_items")
    role = models.CharField(
        max_length=20,
        default="item",
        help_text="item, keep, copy, train, test; part or example of a group",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["flag", "item"], name="an_item_once_a_flag")]

    def __str__(self) -> str:
        return f"{self.item} as {self.role}"


class Action(models.TextChoices):
    KEEP = "keep", "Keep"
    RELABEL = "relabel", "Relabel"
    EXCLUDE = "exclude", "Exclude"
    MERGE = "merge", "Merge copies"
    MOVE = "move", "Change the split"
    ROUND = "round", "Send to a round"
    INCLUDE = "include", "Include again"
    TAG = "tag", "Tag"
    FLAG = "flag", "Flag"
    CONFIRM = "confirm", "It is so"
    SPLIT = "split", "Split the class"
    CUT = "cut", "Cut to the loudest second"
    CLASSES = "classes", "Merge classes"
    UNDO = "undo", "Undo"


class Bulk(models.Model):
    """One decision for all flags of a kind from a score on, after a sample of them was judged."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="bulks")
    kind = models.CharField(max_length=30, help_text="a row of detectors.py")
    least_score = models.FloatField()
    sample = models.JSONField(default=list, help_text="ids of flags, drawn at random")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    action = models.CharField(max_length=12, choices=Action, blank=True, help_text="once decided")
    test_confirmed = models.BooleanField(default=False)
    result = models.JSONField(default=dict, help_text="how many were decided, and why not all")
    is_undone = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "kind"],
                condition=Q(action=""),
                name="one_open_sample_a_queue",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.least_score} on"


class ProposalState(models.TextChoices):
    WAITING = "waiting", "Waiting for a second reviewer"
    AGREED = "agreed", "Agreed"
    DISAGREED = "disagreed", "Disagreed: a lead settles it"
    SETTLED = "settled", "Settled by a lead"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Proposal(models.Model):
    """What takes effect once a second person agrees: about a flag, many flags, or items."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="proposals")
    flag = models.ForeignKey(
        Flag, on_delete=models.SET_NULL, null=True, blank=True, related_name="proposals"
    )
    bulk = models.ForeignKey(
        Bulk, on_delete=models.SET_NULL, null=True, blank=True, related_name="proposals"
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    action = models.CharField(max_length=12, choices=Action)
    choice = models.JSONField(default=dict, help_text="what the action acts with")
    seconds = models.FloatField(default=0, help_text="from shown to decided")
    sample = models.JSONField(default=list, help_text="ids of flags that the second one looks at")
    before = models.JSONField(default=list, help_text="per item that was selected; else empty")
    after = models.JSONField(default=list, help_text="what these items would be")
    undoes = models.ForeignKey(
        "quality.Decision",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="undo_proposals",
        help_text="the decision that would be taken back",
    )
    state = models.CharField(
        max_length=10, choices=ProposalState, default=ProposalState.WAITING, db_index=True
    )
    second = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="second_opinions",
    )
    words = models.CharField(max_length=200, blank=True, help_text="why the second one disagrees")
    at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=[about], condition=Q(state="waiting"), name=f"one_waiting_a_{about}"
            )
            for about in ("flag", "bulk", "undoes")
        ]

    def __str__(self) -> str:
        return f"{self.action} proposed by {self.by}"


class Decision(models.Model):
    """What a person did about a flag; append-only, undo is another row."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="decisions")
    flag = models.ForeignKey(
        Flag, on_delete=models.SET_NULL, null=True, blank=True, related_name="decisions"
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    action = models.CharField(max_length=12, choices=Action)
    seconds = models.FloatField(default=0, help_text="from shown to decided")
    before = models.JSONField(default=list, help_text="per item: key, label, split, excluded")
    after = models.JSONField(default=list)
    touches_test = models.BooleanField(default=False)
    bulk = models.ForeignKey(
        Bulk, on_delete=models.SET_NULL, null=True, blank=True, related_name="decisions"
    )
    proposal = models.ForeignKey(
        Proposal,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="decisions",
        help_text="what a second reviewer answered before it took effect",
    )
    undoes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by"
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.action} by {self.by}"


class Comparison(models.Model):
    """Two runs side by side on the same test items: what the changes bought."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="comparisons")
    old = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    new = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    result = models.JSONField(default=dict, help_text="empty until it is done")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["old", "new"], name="one_comparison_a_pair")]

    def __str__(self) -> str:
        return f"{self.old} against {self.new}"
