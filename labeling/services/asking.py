"""One door to every kind of round, for the pages on which a lead makes one."""

from collections.abc import Sequence
from typing import Any

from labeling.models import Dataset, Round, RoundKind
from labeling.queries.disputes import open_disputes
from labeling.services.pilots import make_pilot
from labeling.services.qualifications import make_qualification
from labeling.services.rounds import NothingToAskError, make_round


def start_round(
    *, dataset: Dataset, kind: str, items: Sequence[int] | None = None, **options: Any
) -> Round:
    """Make a round of this kind about these items (by id), or about all that suit the kind.

    Nobody can qualify by an item without a known answer, and only disputed items are adjudicated:
    of the items named, the others are left out.
    """
    if kind == RoundKind.QUALIFY:
        return make_qualification(dataset=dataset, among=items, **options)
    if kind == RoundKind.ADJUDICATE:
        disputed = list(open_disputes(dataset).values_list("item", flat=True))
        asked = disputed if items is None else [pk for pk in items if pk in set(disputed)]
        if not asked:
            raise NothingToAskError("None of these items is disputed just now.")
        return make_round(dataset=dataset, kind=kind, items=asked, **options)
    if kind == RoundKind.PILOT:
        return make_pilot(dataset=dataset, items=items or [], **options)
    return make_round(dataset=dataset, kind=kind, items=items or [], **options)
