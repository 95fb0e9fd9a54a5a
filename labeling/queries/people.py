"""Reads about members, invitations and tokens."""

from datetime import datetime

from django.db.models import Case, IntegerField, QuerySet, Value, When

from labeling.models import ApiToken, Dataset, Invitation, Membership, Role, User

RANK = Case(
    *(When(role=role, then=Value(place)) for place, role in enumerate(Role.values)),
    output_field=IntegerField(),
)


def is_anybody_there() -> bool:
    """Tell whether anybody has an account yet."""
    return User.objects.exists()


def only_annotates(user: User) -> bool:
    """Tell whether a person is an annotator wherever they are a member."""
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return not user.is_staff and roles == {Role.ANNOTATOR}


def members_of(dataset: Dataset) -> QuerySet[Membership]:
    """Members, owners first."""
    members = Membership.objects.filter(dataset=dataset).select_related("user")
    return members.order_by(RANK, "user__username")


def waiting_invitations(dataset: Dataset, *, now: datetime) -> QuerySet[Invitation]:
    """Links that somebody can still use."""
    unused = Invitation.objects.filter(
        dataset=dataset, used_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now
    )
    return unused.select_related("created_by").order_by("expires_at")


def invitation_with(token_hash: str) -> Invitation | None:
    """Return the invitation of a link, used or not."""
    found = Invitation.objects.filter(token_hash=token_hash)
    return found.select_related("dataset", "created_by").first()


def is_usable(invitation: Invitation, *, now: datetime) -> bool:
    """Tell whether a link still lets somebody in."""
    ended = invitation.used_at or invitation.revoked_at
    return not ended and invitation.expires_at > now


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """A person's tokens that work, newest first."""
    return ApiToken.objects.filter(user=user, revoked_at__isnull=True).order_by("-pk")


def memberships_of(user: User) -> QuerySet[Membership]:
    """Where a person is a member."""
    return Membership.objects.filter(user=user).select_related("dataset").order_by("dataset__name")
