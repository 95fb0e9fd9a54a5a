"""Who belongs to a dataset: invited by one-time links, given roles, removed; API tokens.

Secrets are shown once and kept as their sha256: they are long and random, so that a slow
password hash would protect nothing more.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from labeling.models import ApiToken, Dataset, Invitation, Membership, Role, User
from labeling.queries import people

INVITATION_LASTS = timedelta(days=7)
SECRET_BYTES = 32
TOKEN_PREFIX = "winnow_"  # lets people and secret scanners recognise one
USE_NOTED_EVERY = timedelta(minutes=1)  # a write for each request would cost more than the request
RANKS = {Role.ANNOTATOR: 0, Role.REVIEWER: 1, Role.LEAD: 2, Role.OWNER: 3}


class LastOwnerError(Exception):
    """The dataset would be left without an owner."""


class NotAllowedError(Exception):
    """Nobody may give or take a role above their own."""


class InvitationGoneError(Exception):
    """The invitation was used, taken back or has run out."""


class AlreadyMemberError(Exception):
    """Who follows the link is a member with this role or a higher one."""


def hash_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def may_manage(*, viewer_role: str, role: str) -> bool:
    """Tell whether somebody may give or take a role: owners all, leads all but owner."""
    if viewer_role == Role.OWNER:
        return True
    return viewer_role == Role.LEAD and role != Role.OWNER


def invite(
    *, dataset: Dataset, role: str, by: User, now: datetime, note: str = ""
) -> tuple[Invitation, str]:
    """Make a link for one person; returns it with the token, which nobody can read later."""
    token = secrets.token_urlsafe(SECRET_BYTES)
    invitation = Invitation.objects.create(
        dataset=dataset,
        role=role,
        note=note,
        token_hash=hash_of(token),
        created_by=by,
        expires_at=now + INVITATION_LASTS,
    )
    return invitation, token


def revoke_invitation(*, invitation: Invitation, now: datetime) -> None:
    """Make a link that nobody has used yet useless."""
    unused = Invitation.objects.filter(pk=invitation.pk, used_at__isnull=True)
    unused.filter(revoked_at__isnull=True).update(revoked_at=now)


@transaction.atomic
def join(*, invitation: Invitation, user: User, now: datetime) -> Membership:
    """Use a link up: its role becomes the user's, unless they have that or a higher one."""
    there = Membership.objects.filter(dataset=invitation.dataset, user=user).first()
    if there and RANKS[Role(there.role)] >= RANKS[Role(invitation.role)]:
        raise AlreadyMemberError(there.get_role_display())
    usable = Q(used_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now)
    rows = Invitation.objects.filter(usable, pk=invitation.pk)
    if not rows.update(used_at=now, used_by=user):
        raise InvitationGoneError(invitation.pk)
    membership, _ = Membership.objects.update_or_create(
        dataset=invitation.dataset, user=user, defaults={"role": invitation.role}
    )
    return membership


@transaction.atomic
def make_account(*, invitation: Invitation, username: str, password: str, now: datetime) -> User:
    """Make the account of an invited person, who is a member at once."""
    user = User.objects.create_user(username, password=password)
    join(invitation=invitation, user=user, now=now)
    return user


@transaction.atomic
def change_role(*, membership: Membership, role: str, viewer_role: str) -> None:
    """Give a member another role."""
    held = _held(membership)
    if not all(may_manage(viewer_role=viewer_role, role=one) for one in (held.role, role)):
        raise NotAllowedError(held.role)
    if role != Role.OWNER:
        _keep_an_owner(held)
    held.role = role
    held.save(update_fields=["role"])


@transaction.atomic
def remove_member(*, membership: Membership, viewer_role: str) -> None:
    """End a membership; what the person said and decided stays."""
    held = _held(membership)
    if not may_manage(viewer_role=viewer_role, role=held.role):
        raise NotAllowedError(held.role)
    _keep_an_owner(held)
    held.delete()


def _held(membership: Membership) -> Membership:
    """Return the row as it is now; changes of one dataset's members wait for each other."""
    Dataset.objects.select_for_update().get(pk=membership.dataset_id)
    return Membership.objects.get(pk=membership.pk)


def _keep_an_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(dataset=membership.dataset_id, role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise LastOwnerError(membership.pk)


def make_token(*, user: User, name: str) -> tuple[ApiToken, str]:
    """Make a bearer token of the API; returns it with its text, which nobody can read later."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return ApiToken.objects.create(user=user, name=name, token_hash=hash_of(text)), text


def revoke_token(*, token: ApiToken, now: datetime) -> None:
    """Make a token useless at once."""
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now)


def user_of_token(*, text: str, now: datetime) -> User | None:
    """Return who a token speaks for, and note that it was used."""
    found = people.user_of_token(hash_of(text), noted=now - USE_NOTED_EVERY)
    if found is None:
        return None
    user, token, is_to_note = found
    if is_to_note:
        ApiToken.objects.filter(pk=token).update(last_used_at=now)
    return user


def mark_visit(*, dataset: Dataset, user: User, now: datetime) -> None:
    """Remember when somebody opened a dataset last: what came later is new to them."""
    Membership.objects.filter(dataset=dataset, user=user).update(visited_at=now)
