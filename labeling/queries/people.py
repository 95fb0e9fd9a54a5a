"""Reads about members, invitations and tokens."""

from datetime import datetime

from django.db.models import Case, IntegerField, QuerySet, Value, When

from labeling.models import ApiToken, Dataset, Invitation, Membership, Role, Round, User
from labeling.queries.by_hand import Statement, moment

REVIEWING = (Role.OWNER, Role.LEAD, Role.REVIEWER)
RANK = Case(
    *(When(role=role, then=Value(place)) for place, role in enumerate(Role.values)),
    output_field=IntegerField(),
)
ROUND = Statement(
    """
    SELECT {asking}, {dataset},
      (SELECT held.role FROM labeling_membership held
        WHERE held.dataset_id = asking.dataset_id AND held.user_id = %(user)s),
      (SELECT MAX(CASE WHEN named.user_id = %(user)s THEN 1 ELSE 0 END)
        FROM labeling_round_people named WHERE named.round_id = asking.id)
    FROM labeling_round asking JOIN labeling_dataset dataset ON dataset.id = asking.dataset_id
    WHERE asking.id = %(round)s
    """,
    asking=Round,
    dataset=Dataset,
)
TOKEN = Statement(
    """
    SELECT {person}, token.id, token.last_used_at IS NULL OR token.last_used_at < %(noted)s
    FROM labeling_apitoken token JOIN labeling_user person ON person.id = token.user_id
    WHERE token.token_hash = %(hash)s AND token.revoked_at IS NULL AND person.is_active
    """,
    person=User,
)


def reviewers_of(dataset: Dataset) -> QuerySet[Membership]:
    """Return the members who may decide about flags."""
    return Membership.objects.filter(dataset=dataset, role__in=REVIEWING, user__is_active=True)


def round_as_seen(pk: int, *, user: int | None) -> tuple[Round, str, bool] | None:
    """Return a round, the role of a user (by id), and whether it names nobody or also them."""
    found = ROUND.first(round=pk, user=user)
    if found is None:
        return None
    asking, asking.dataset, role, named = found
    return asking, role or "", named is None or bool(named)


def user_of_token(token_hash: str, *, noted: datetime) -> tuple[User, int, bool] | None:
    """Return who a live token speaks for, its id, and whether its use was last `noted` earlier."""
    found = TOKEN.first(hash=token_hash, noted=moment(noted))
    return found and (found[0], found[1], bool(found[2]))


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


def only_owner(dataset: Dataset) -> int | None:
    """Return the membership of the owner who cannot be spared, unless there are several."""
    owners = Membership.objects.filter(dataset=dataset, role=Role.OWNER)
    found = list(owners.values_list("pk", flat=True)[:2])
    return found[0] if len(found) == 1 else None


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
