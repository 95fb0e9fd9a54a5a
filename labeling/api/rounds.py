"""The API of rounds, for leads: make one, extend it, close it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.forms import Form
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from labeling import access
from labeling.api.callers import Refusal, speaker
from labeling.forms.asking import RoundForm, usual
from labeling.forms.rounds import ExtendForm
from labeling.models import Dataset, Round, RoundKind
from labeling.queries import rounds as queries
from labeling.services import rounds
from labeling.services.asking import start_round

router = Router()
MOST_KEYS = 50_000
Keys = Annotated[list[str], Field(max_length=MOST_KEYS)]


class NewRound(Schema):
    """What a round asks; fields that are not sent begin as in the form of the page."""

    name: str = Field(max_length=120)
    kind: Literal["classify", "verify", "qualify", "adjudicate", "pilot"] = Field(
        "classify",
        description="what people do: say what items are; say whether their labels are right; try"
        " to qualify on known items; decide what others disagree about; read one of two wordings",
    )
    which: Literal["unlabelled", "all", "keys"] | None = Field(
        None,
        description="items; else those named by `keys`, else `unlabelled`, to verify `all`; not to"
        " qualify or adjudicate, which ask about check items and disputed items",
    )
    keys: Keys = Field([], description="of the items, where `which` is “keys”")
    order: Literal["random", "listed", "learning"] | None = Field(
        None, description="else keys as they are listed and others random; “learning”: classify"
    )  # fmt: skip
    answers_wanted: int | None = Field(
        None, description="for each item, 1 to 50; of a pilot: under each wording"
    )
    confident: float | None = Field(
        None, description="classify, verify: ask until so sure, .5 to .999; else always all"
    )
    answers_least: int | None = Field(None, description="only where `confident` is set; else 2")
    people: list[str] = Field(
        [],
        description="user names of members; none: every member, to adjudicate all but annotators",
    )
    requires: int | None = Field(None, description="id of a qualification to be passed before")
    suggesting: Literal["off", "after", "before"] | None = Field(
        None, description="classify: what the model says, else off"
    )
    gold_every: int | None = Field(
        None, description="classify, verify: one check item in so many, 2 to 100; 0: none"
    )
    count: int | None = Field(None, description="qualify: check items asked, 3 to 500; else 12")
    pass_mark: int | None = Field(None, description="qualify: percent that must be right; else 80")
    attempts: int | None = Field(None, description="qualify: of each person, 1 to 20; else 1")
    question_a: str | None = Field(None, description="pilot: else the question of the dataset")
    guideline_a: str | None = Field(None, description="pilot: Markdown; else that of the dataset")
    question_b: str | None = Field(None, description="pilot: this or `guideline_b` must differ")
    guideline_b: str | None = Field(None, description="pilot")
    purpose: str | None = Field(None, description="said to people, at most 200 characters")
    deadline: datetime | None = None
    price: Decimal | None = Field(None, description="of an answer")


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
    pass_mark: int | None = Field(description="of a qualification, in percent")
    wording: dict[str, str] = Field(description="of a pilot: name, question, guideline")
    beside: int | None = Field(description="of a pilot's second wording: the round of the first")

    @staticmethod
    def resolve_pass_mark(row: Round) -> int | None:
        return row.pass_mark if row.kind == RoundKind.QUALIFY else None

    @staticmethod
    def resolve_beside(row: Round) -> int | None:
        return row.beside_id


@router.get("/datasets/{slug}/rounds", response=list[RoundOut], summary="List rounds")
def list_rounds(request: HttpRequest, slug: str) -> Any:
    """Open rounds first, each with how far it is."""
    return queries.rounds_of(access.dataset_for(speaker(request), slug))


@router.post(
    "/datasets/{slug}/rounds", response={201: RoundOut, 409: Refusal}, summary="Make a round"
)
def create_round(request: HttpRequest, slug: str, new: NewRound) -> Any:
    """Ask people about items, as the form of the page does. Excluded ones are left out.

    A pilot is two rounds; the reply is the one with wording A, the list has both.
    """
    user = speaker(request)
    dataset = access.dataset_for(user, slug, roles=access.LEADS)
    form = _form(dataset, new)
    if not form.is_valid():
        raise HttpError(422, _in_words(form))
    try:
        made = start_round(dataset=dataset, by=user, **form.chosen())
    except rounds.NothingToAskError as error:
        return Status(409, {"detail": str(error)})
    return Status(201, _round(made))


def _form(dataset: Dataset, new: NewRound) -> RoundForm:
    """Return the form of the page, filled in as it begins and then as it was asked for."""
    sent = new.dict(exclude_unset=True, exclude={"kind"})
    given = {name: value for name, value in sent.items() if value not in (None, [])}
    if "people" in given:
        given["people"] = _people(dataset, new.people)
    if "keys" in given:
        given.setdefault("which", "keys")
    form = RoundForm({**usual(dataset, new.kind), **given}, dataset=dataset, kind=new.kind)
    if foreign := sorted(given.keys() - form.fields.keys()):
        raise HttpError(422, f"{', '.join(foreign)}: a round of kind “{new.kind}” has none.")
    return form


def _in_words(form: Form) -> str:
    told = form.errors.get_json_data().items()
    return "; ".join(f"{name}: {row['message']}" for name, rows in told for row in rows)


def _people(dataset: Dataset, names: list[str]) -> list[int]:
    there = {user.username: user.pk for user in queries.people_of(dataset)}
    for name in names:
        if name not in there:
            raise HttpError(422, f"{dataset.slug} has no member named {name!r}.")
    return [there[name] for name in dict.fromkeys(names)]


def _round(asking: Round) -> Round:
    return queries.rounds_of(asking.dataset).get(pk=asking.pk)


class Extension(Schema):
    keys: Keys = Field([], description="of further items, asked after the others")
    deadline: datetime | None = None


@router.post(
    "/datasets/{slug}/rounds/{pk}/extend",
    response={200: RoundOut, 409: Refusal},
    summary="Ask for more",
)
def extend_round(request: HttpRequest, slug: str, pk: int, more: Extension) -> Any:
    """Add items at the end of a round, or give more time; items that it has stay once."""
    asking = access.round_in(speaker(request), slug, pk, roles=access.LEADS)
    form = ExtendForm({"keys": more.keys}, dataset=asking.dataset)
    if not form.is_valid():
        raise HttpError(422, _in_words(form))
    keys = form.cleaned_data["keys"]
    items = queries.items_to_ask(asking.dataset, which="keys", keys=keys)
    try:
        rounds.extend_round(asking=asking, items=items, answers_wanted=asking.answers_wanted)
    except rounds.NothingToAskError as refusal:
        return Status(409, {"detail": str(refusal)})
    if more.deadline:
        rounds.set_deadline(asking=asking, deadline=more.deadline)
    return Status(200, _round(asking))


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
