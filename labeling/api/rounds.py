"""The API of rounds, for leads: make one, extend it, close it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from labeling import access
from labeling.api.callers import Refusal, speaker
from labeling.models import Dataset, Round, User
from labeling.queries import rounds as queries
from labeling.services import rounds

router = Router()
MOST_KEYS = 50_000
Keys = Annotated[list[str], Field(max_length=MOST_KEYS)]


class NewRound(Schema):
    name: str = Field(min_length=1, max_length=120)
    kind: Literal["classify", "verify"] = "classify"
    which: Literal["unlabelled", "all", "keys"] = "unlabelled"
    keys: Keys = Field([], description="of the items, where `which` is “keys”")
    order: Literal["random", "listed"] = "random"
    answers_wanted: int = Field(1, ge=1, le=50)
    confident: float = Field(0.0, ge=0, le=0.999, description="ask until so sure; 0: always all")
    answers_least: int = Field(1, ge=1, le=50, description="only where `confident` is set")
    people: list[str] = Field([], description="user names of members; none: every member")
    gold_every: int = Field(0, ge=0, le=100, description="one check item in so many; 0: none")
    purpose: str = Field("", max_length=200)
    deadline: datetime | None = None


class RoundOut(Schema):
    id: int
    name: str
    kind: str
    answers_wanted: int
    deadline: datetime | None
    closed_at: datetime | None
    total: int = Field(description="items")
    done: int = Field(description="items that have their answers")
    disputed: int
    answers: int


@router.get("/datasets/{slug}/rounds", response=list[RoundOut], summary="List rounds")
def list_rounds(request: HttpRequest, slug: str) -> Any:
    """Open rounds first, each with how far it is."""
    return queries.rounds_of(access.dataset_for(speaker(request), slug))


@router.post(
    "/datasets/{slug}/rounds", response={201: RoundOut, 409: Refusal}, summary="Make a round"
)
def create_round(request: HttpRequest, slug: str, new: NewRound) -> Any:
    """Ask people about items. Excluded ones are left out."""
    user = speaker(request)
    dataset = access.dataset_for(user, slug, roles=access.LEADS)
    chosen = new.dict()
    which, keys, order = (chosen.pop(name) for name in ("which", "keys", "order"))
    if new.gold_every == 1:
        raise HttpError(422, "gold_every: 2 or more, or 0: there must be something left to ask.")
    if not new.confident:
        chosen["answers_least"] = 1
    elif new.answers_least > new.answers_wanted:
        raise HttpError(422, "answers_least: at most answers_wanted.")
    chosen["people"] = _people(dataset, new.people)
    _refuse_unknown(dataset, keys)
    items = queries.items_to_ask(dataset, which=which, keys=keys, order=order)
    try:
        made = rounds.make_round(dataset=dataset, items=items, by=user, **chosen)
    except rounds.NothingToAskError as error:
        return Status(409, {"detail": str(error)})
    return Status(201, _round(made))


def _people(dataset: Dataset, names: list[str]) -> list[User]:
    there = {user.username: user for user in queries.people_of(dataset)}
    for name in names:
        if name not in there:
            raise HttpError(422, f"{dataset.slug} has no member named {name!r}.")
    return [there[name] for name in dict.fromkeys(names)]


def _refuse_unknown(dataset: Dataset, keys: list[str]) -> None:
    if unknown := queries.unknown_keys(dataset, keys):
        raise HttpError(422, f"No item has the key {', '.join(unknown[:5])}.")


def _round(asking: Round) -> Round:
    return queries.rounds_of(asking.dataset).get(pk=asking.pk)


class Extension(Schema):
    keys: Keys = Field([], description="of further items, asked after the others")
    deadline: datetime | None = None


@router.post("/datasets/{slug}/rounds/{pk}/extend", response=RoundOut, summary="Ask for more")
def extend_round(request: HttpRequest, slug: str, pk: int, more: Extension) -> Any:
    """Add items at the end of a round, or give more time; items that it has stay once."""
    asking = access.round_in(speaker(request), slug, pk, roles=access.LEADS)
    _refuse_unknown(asking.dataset, more.keys)
    items = queries.items_to_ask(asking.dataset, which="keys", keys=more.keys)
    rounds.extend_round(asking=asking, items=items, answers_wanted=asking.answers_wanted)
    if more.deadline:
        rounds.set_deadline(asking=asking, deadline=more.deadline)
    return _round(asking)


@router.post("/datasets/{slug}/rounds/{pk}/close", response=RoundOut, summary="Close a round")
def close_round(request: HttpRequest, slug: str, pk: int) -> Any:
    """Hand out nothing more; answers that are under way still count."""
    asking = access.round_in(speaker(request), slug, pk, roles=access.LEADS)
    rounds.close_round(asking=asking, now=timezone.now())
    return _round(asking)


@router.post(
    "/datasets/{slug}/rounds/{pk}/reopen",
    response={200: RoundOut, 409: Refusal},
    summary="Reopen a round",
)
def reopen_round(request: HttpRequest, slug: str, pk: int) -> Any:
    """Hand out what is left again."""
    asking = access.round_in(speaker(request), slug, pk, roles=access.LEADS)
    try:
        rounds.reopen_round(asking=asking)
    except rounds.NothingToAskError as refusal:
        return Status(409, {"detail": str(refusal)})
    return Status(200, _round(asking))
