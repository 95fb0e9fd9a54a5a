"""The API of check items and pauses, for leads."""

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from labeling import access
from labeling.api.callers import speaker
from labeling.models import Dataset, GuardAct
from labeling.queries import gold as gold_queries
from labeling.queries import guards as guard_queries
from labeling.queries import rounds as queries
from labeling.services import gold, guards

router = Router()
MOST_GOLD = 1_000  # items in one request


class Known(Schema):
    key: str = Field(description="of the item")
    label: str = Field(description="name of its class")
    why: str = Field("", max_length=200)


class GoldOut(Known):
    source: str = Field(description="expert or agreed")
    answered: int
    right: int
    is_doubtful: bool = Field(description="so many fail it that its answer may be wrong")


class NewGold(Schema):
    items: list[Known] = Field(max_length=MOST_GOLD)


class Made(Schema):
    made: int = Field(description="new ones, and those whose answer changed")


class Retired(Schema):
    retired: int


@router.get("/datasets/{slug}/gold", response=list[GoldOut], summary="List check items")
def list_gold(request: HttpRequest, slug: str) -> Any:
    """Doubtful ones first, then those that people get wrong most often."""
    dataset = access.dataset_for(speaker(request), slug, roles=access.LEADS)
    return [
        {
            **{name: getattr(row, name) for name in ("answered", "right", "is_doubtful")},
            **{name: getattr(row.gold, name) for name in ("source", "why")},
            "key": row.gold.item.key,
            "label": row.gold.label.name,
        }
        for row in gold_queries.tried(dataset)
    ]


@router.post("/datasets/{slug}/gold", response=Made, summary="Say which answers are known")
def use_as_gold(request: HttpRequest, slug: str, known: NewGold) -> Any:
    """Make check items, or correct them; rounds with `gold_every` mix them in unseen."""
    user = speaker(request)
    dataset = access.dataset_for(user, slug, roles=access.LEADS)
    items = _items(dataset, [one.key for one in known.items])
    classes = {row.name: row.pk for row in queries.current_classes(dataset)}
    by_why: dict[str, dict[int, int]] = {}
    for one in known.items:
        if one.label not in classes:
            raise HttpError(422, f"{slug} has no class named {one.label!r}.")
        by_why.setdefault(one.why, {})[items[one.key]] = classes[one.label]
    now = timezone.now()
    made = [
        gold.use_as_gold(labels=labels, dataset=dataset, why=why, by=user, now=now)
        for why, labels in by_why.items()
    ]
    return {"made": sum(made)}


class GoldKeys(Schema):
    keys: list[str] = Field(max_length=MOST_GOLD)


@router.post("/datasets/{slug}/gold/retire", response=Retired, summary="Retire check items")
def retire_gold(request: HttpRequest, slug: str, named: GoldKeys) -> Any:
    """They are asked no longer and measure nobody."""
    dataset = access.dataset_for(speaker(request), slug, roles=access.LEADS)
    items = _items(dataset, named.keys)
    rows = list(gold_queries.known(dataset).filter(item__in=items.values()))
    for row in rows:
        gold.retire_gold(gold=row, now=timezone.now())
    return {"retired": len(rows)}


def _items(dataset: Dataset, keys: list[str]) -> dict[str, int]:
    if unknown := queries.unknown_keys(dataset, keys):
        raise HttpError(422, f"No item has the key {', '.join(unknown[:5])}.")
    return dict(dataset.items.filter(key__in=keys).values_list("key", "pk"))


class PauseOut(Schema):
    user: str
    act: str = Field(description="pause or end")
    reason: str
    at: datetime
    messages: list[str] = Field(description="what they wrote since")


class Decision(Schema):
    user: str = Field(description="user name of who answers")
    act: Literal["pause", "resume", "end"]
    text: str = Field("", max_length=500, description="why; a pause needs it")


@router.get("/datasets/{slug}/pauses", response=list[PauseOut], summary="List who is paused")
def list_pauses(request: HttpRequest, slug: str) -> Any:
    """Who is paused or whose work was ended, by a guard or a lead, and why."""
    return _stopped(access.dataset_for(speaker(request), slug, roles=access.LEADS))


@router.post(
    "/datasets/{slug}/pauses", response={200: list[PauseOut]}, summary="Pause, resume or end"
)
def decide_pause(request: HttpRequest, slug: str, decision: Decision) -> Any:
    """Decide about somebody's work; the reply lists who is paused or ended now."""
    user, now = speaker(request), timezone.now()
    dataset = access.dataset_for(user, slug, roles=access.LEADS)
    annotator = dataset.annotators.filter(user__username=decision.user).first()
    if annotator is None:
        raise HttpError(422, f"Nobody named {decision.user!r} has worked in {slug}.")
    if decision.act != GuardAct.PAUSE:
        guards.decide(annotator=annotator, act=decision.act, by=user, now=now)
    elif decision.text:
        guards.pause(annotator=annotator, text=decision.text, by=user, now=now)
    else:
        raise HttpError(422, "text: say why, they will read it.")
    return Status(200, _stopped(dataset))


def _stopped(dataset: Dataset) -> list[dict[str, Any]]:
    return [
        {
            "user": str(row.annotator),
            "act": row.event.act,
            "reason": row.reason,
            "at": row.event.at,
            "messages": [message.text for message in row.messages],
        }
        for row in guard_queries.stopped_in(dataset)
    ]
