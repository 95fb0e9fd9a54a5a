"""Draws items that no check doubts, to be looked at among those that one does."""

import random

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Dataset
from quality.models import UNFLAGGED, Flag, FlagItem
from quality.queries import unflagged as queries
from quality.queries.flags import open_flags
from quality.queries.review import AHEAD
from quality.services.flags import subject_of


@transaction.atomic
def draw(*, dataset: Dataset, rng: random.Random) -> Flag | None:
    """Draw one item, once its turn in the queue is in sight and none waits already."""
    if not dataset.draws_unflagged or queries.ahead(dataset) > AHEAD:
        return None
    Dataset.objects.select_for_update().get(pk=dataset.pk)  # two reviewers draw one after another
    if open_flags(dataset, UNFLAGGED).exists():
        return None
    there = queries.drawable(dataset)
    n = there.count()
    if not n:
        return None
    item = there.select_related("label").order_by("pk")[rng.randrange(n)]
    assert item.label
    flag = Flag.objects.create(
        dataset=dataset,
        kind=UNFLAGGED,
        subject=subject_of([item.key]),
        given=item.label.name,
        score=0.0,
        reason=_("Drawn at random from what this queue does not hold."),
        evidence={"of": n},
    )
    FlagItem.objects.create(flag=flag, item=item)
    return flag
