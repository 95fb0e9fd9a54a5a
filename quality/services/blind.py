"""A blind human score: people answer a random sample and see neither label nor suggestion."""

import random
from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Dataset, Round, RoundKind, User
from labeling.services.rounds import make_round
from quality.queries.blind import askable


@transaction.atomic
def ask_blind(
    *, dataset: Dataset, size: int, people: Iterable[User], by: User | None, chance: random.Random
) -> Round:
    """Make a round of so many labelled items, drawn by lot; its answers give no labels."""
    there = list(askable(dataset).order_by("pk").values_list("pk", flat=True))
    drawn = chance.sample(there, min(size, len(there)))
    return make_round(
        dataset=dataset,
        name=_("Blind score"),
        kind=RoundKind.CLASSIFY,
        items=drawn,
        answers_wanted=1,
        people=people,
        purpose=_("People answer blind, to be measured beside the model"),
        counts=False,
        by=by,
    )
