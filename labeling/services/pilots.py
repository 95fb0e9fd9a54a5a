"""Pilots: two wordings tried on the same items, then counted, or used, or neither."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import (
    Annotation,
    Dataset,
    Guideline,
    LabelSource,
    Role,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    User,
)
from labeling.queries.pilots import rounds_of
from labeling.queries.rounds import answers_given
from labeling.services import labels
from labeling.services.annotations import agree
from labeling.services.guidelines import publish_guideline
from labeling.services.rounds import CHANCE, NothingToAskError, make_round
from labeling.services.settling import given_for, reason_for, taken_for

LEAST_PEOPLE = 4  # two under each wording: one alone agrees with nobody
Wording = tuple[str, str]


@transaction.atomic
def make_pilot(
    *,
    dataset: Dataset,
    items: Sequence[int],
    wordings: tuple[Wording, Wording],
    answers_wanted: int,
    people: Iterable[User] = (),
    rng: random.Random = CHANCE,
    **options: Any,
) -> Round:
    """Ask the same items under two wordings (question and guideline); returns the first round.

    The people, else all who annotate, are dealt to the wordings at random, as many to each.
    """
    asked = list(people) or list(
        User.objects.filter(memberships__dataset=dataset, memberships__role=Role.ANNOTATOR)
    )
    rng.shuffle(asked)
    halves = asked[::2], asked[1::2]
    if len(asked) < LEAST_PEOPLE or len(halves[1]) < answers_wanted:
        words = _("A pilot needs %(n)s people or more: as many answers an item under each wording.")
        raise NothingToAskError(words % {"n": max(LEAST_PEOPLE, 2 * answers_wanted)})
    first: Round | None = None
    for name, half, (question, guideline) in zip("AB", halves, wordings):
        made = make_round(
            dataset=dataset,
            kind=RoundKind.PILOT,
            items=items,
            people=half,
            answers_wanted=answers_wanted,
            wording={"name": name, "question": question, "guideline": guideline},
            beside=first,
            **options,
        )
        first = first or made
    assert first is not None
    return first


@transaction.atomic
def count_answers(*, pilot: Round, names: Iterable[str], by: User, now: datetime) -> int:
    """Let the answers under these wordings (by name) give labels; returns how many items got one.

    Their rounds are closed: what is counted stands.
    """
    chosen = [row for row in rounds_of(pilot) if row.wording["name"] in set(names)]
    ids = [row.pk for row in chosen]
    Round.objects.filter(pk__in=ids, closed_at__isnull=True).update(closed_at=now)
    Round.objects.filter(pk__in=ids).update(counts=True)
    said: dict[int, list[Annotation]] = defaultdict(list)
    given = answers_given().filter(round__in=ids, is_surplus=False, is_gold=False)
    for row in given.select_related("label").order_by("pk"):
        said[row.item_id].append(row)
    waiting = RoundItem.objects.filter(round__in=ids, state=RoundItemState.OPEN)
    unfinished = set(waiting.values_list("item", flat=True))
    agreed = {item: agree(rows) for item, rows in said.items() if item not in unfinished}
    return labels.set_labels(
        labels={item: label for item, (label, _share) in agreed.items() if label},
        source=LabelSource.CONSENSUS,
        confidence={item: share for item, (_label, share) in agreed.items()},
        by=by,
        reason=reason_for(pilot, "majority"),
    )


@transaction.atomic
def stop_counting(*, pilot: Round, by: User) -> int:
    """Take back the labels that a pilot gave; returns how many changed."""
    rows = rounds_of(pilot)
    Round.objects.filter(pk__in=[row.pk for row in rows]).update(counts=False)
    items = list(pilot.round_items.values_list("item", flat=True))
    return labels.take_back_labels(
        items=items,
        source=LabelSource.CONSENSUS,
        given_for=given_for(pilot),
        by=by,
        reason=taken_for(pilot, "it no longer counts"),
    )


@transaction.atomic
def use_wording(*, asking: Round, by: User) -> Guideline:
    """Make a wording the dataset's question and the next version of its guideline."""
    Dataset.objects.filter(pk=asking.dataset_id).update(question=asking.wording["question"])
    name = asking.wording["name"]
    change = _("Wording %(name)s of “%(round)s”") % {"name": name, "round": asking.name}
    return publish_guideline(
        dataset=asking.dataset, text=asking.wording["guideline"], by=by, change=change
    )
