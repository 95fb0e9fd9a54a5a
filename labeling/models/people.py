"""Users, members and the keys that let them in."""

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class User(AbstractUser):
    """Somebody who logs in; what they may do is a membership per dataset."""

    inbox_seen_at = models.DateTimeField(null=True, blank=True)
    gets_mail = models.BooleanField(default=False, help_text="of notices of datasets they lead")
    mailed_at = models.DateTimeField(null=True, blank=True, help_text="up to here")


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    LEAD = "lead", "Lead"
    REVIEWER = "reviewer", "Reviewer"
    ANNOTATOR = "annotator", "Annotator"


class Membership(models.Model):
    """What one user may do in one dataset."""

    dataset = models.ForeignKey(
        "labeling.Dataset", on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)
    visited_at = models.DateTimeField(null=True, blank=True, help_text="its overview, last")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "user"], name="one_membership_a_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.dataset}"


class Invitation(models.Model):
    """A link that lets one person in, once; only the hash of its token is kept."""

    dataset = models.ForeignKey(
        "labeling.Dataset", on_delete=models.CASCADE, related_name="invitations"
    )
    role = models.CharField(max_length=20, choices=Role)
    note = models.CharField(max_length=200, blank=True, help_text="for whom it is meant")
    token_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invitations_made"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"invitation to {self.dataset} as {self.role}"


class ApiToken(models.Model):
    """A bearer token of the API; shown once, kept as its hash."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class Annotator(models.Model):
    """Who answered: a member, or an outside name from imported answers."""

    dataset = models.ForeignKey(
        "labeling.Dataset", on_delete=models.CASCADE, related_name="annotators"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True
    )
    name = models.CharField(max_length=150, blank=True, help_text="of an outside annotator")
    guideline_seen = models.ForeignKey(
        "labeling.Guideline", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    attribute = models.CharField(
        max_length=60, blank=True, help_text="what the dataset's attribute is of this one"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "user"],
                condition=Q(user__isnull=False),
                name="one_annotator_a_user",
            ),
            models.UniqueConstraint(
                fields=["dataset", "name"],
                condition=Q(user__isnull=True),
                name="one_annotator_a_name",
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=False) | ~Q(name=""), name="annotator_is_somebody"
            ),
        ]

    def __str__(self) -> str:
        return self.user.username if self.user else self.name
