"""Who speaks to the API, and what they are told when something was not done."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Schema
from ninja.errors import HttpError

from labeling.models import User

MOST_NAMED = 50  # of what is known, in a refusal


class Refusal(Schema):
    """Why it was not done, in words."""

    detail: str


def speaker(request: HttpRequest) -> User:
    """Return who the token speaks for."""
    assert isinstance(request.user, User)
    return request.user


def one_of(name: str, known: Sequence[str], *, words: str) -> None:
    """Refuse a name that is none of those known: an empty list would look like an answer."""
    if name not in known:
        there = ", ".join(known[:MOST_NAMED]) + (", …" if len(known) > MOST_NAMED else "")
        raise HttpError(400, f"{words} {name!r}; known: {there or 'none yet'}.")


def in_words(errors: Sequence[Any]) -> str:
    """Return what is wrong with what was sent, one sentence a mistake."""
    places = (".".join(str(part) for part in error["loc"]) for error in errors[:20])
    told = zip(places, errors)
    return "; ".join(f"{place}: {error['msg']}" if place else error["msg"] for place, error in told)
