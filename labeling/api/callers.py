"""Who speaks to the API, and what they are told when something was not done."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Schema

from labeling.models import User


class Refusal(Schema):
    """Why it was not done, in words."""

    detail: str


def speaker(request: HttpRequest) -> User:
    """Return who the token speaks for."""
    assert isinstance(request.user, User)
    return request.user


def in_words(errors: Sequence[Any]) -> str:
    """Return what is wrong with what was sent, one sentence a mistake."""
    places = (".".join(str(part) for part in error["loc"]) for error in errors[:20])
    told = zip(places, errors)
    return "; ".join(f"{place}: {error['msg']}" if place else error["msg"] for place, error in told)
