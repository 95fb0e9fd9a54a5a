"""Passwords that an operator sets when somebody forgot theirs."""

import secrets

from axes.utils import reset
from django.db import transaction

from labeling.models import User

PASSWORD_BYTES = 12  # 96 bits: nobody guesses it before it is changed


@transaction.atomic
def reset_password(*, user: User) -> str:
    """Give a user a random password, end their sessions and their lock-out; returns it."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    user.set_password(password)  # the hash is part of every session, so all of them end
    user.save(update_fields=["password"])
    reset(username=user.username)
    return password
