"""Labels that answers gave or took away, which no decision tells: they stand in the log too."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet

from labeling.models import Dataset, LabelChange, LabelSource, Split, WriteArea
from labeling.queries.kept import kept
from labeling.services.settling import AGREED_ON, TAKEN
from quality.queries.flags import STATE_SHOWN

#: What a `LogForm` calls them, where decisions have an action.
CONSENSUS = "consensus"
#: As `labeling.services.settling` begins reasons; what a decision did has another one.
GIVEN = ("round ", "pilot ", AGREED_ON)
ROUND = re.compile(r"(?:round|pilot) (\d+): ")
CHANGES_A_READ = 2_000


@dataclass(frozen=True)
class Settled:
    """What the answers of one round made of labels."""

    words: str
    round: int | None
    labels: int
    changed: int  # of these, items that had another label before
    taken: int  # labels that further answers took away: people disagree, or one was withdrawn
    first: datetime
    last: datetime


def settled_by_rounds(dataset: Dataset, wanted: Mapping[str, Any]) -> list[Settled]:
    """Return a line a round, newest first; none where a `LogForm` asks for what a person did."""
    if not _are_wanted(wanted):
        return []
    name = "settled-" + "-".join(str(wanted.get(one) or "") for one in ("since", "until", "test"))
    rests_on = (WriteArea.LABELS, WriteArea.PLACES)
    return kept(dataset, name, of=rests_on, make=lambda: _counted(changes_of(dataset, wanted)))


def changes_of(dataset: Dataset, wanted: Mapping[str, Any]) -> QuerySet[LabelChange]:
    """Return the labels that answers gave or took away, oldest first."""
    of_answers = Q(reason__startswith=TAKEN)
    for words in GIVEN:
        of_answers |= Q(source=LabelSource.CONSENSUS, reason__startswith=words)
    rows = LabelChange.objects.filter(of_answers, item__dataset=dataset).order_by("pk")
    if wanted.get("since"):
        rows = rows.filter(at__date__gte=wanted["since"])
    if wanted.get("until"):
        rows = rows.filter(at__date__lte=wanted["until"])
    if wanted.get("test"):
        rows = rows.filter(item__split=Split.TEST)
    return rows if _are_wanted(wanted) else rows.none()


def _are_wanted(wanted: Mapping[str, Any]) -> bool:
    by_people = wanted.get("by") or wanted.get("kind")
    return not by_people and wanted.get("action") in (None, "", CONSENSUS)


def _counted(rows: QuerySet[LabelChange]) -> list[Settled]:
    """Add up by round: the method, which a reason ends with, may have changed meanwhile."""
    moved = Q(before__isnull=False) & ~Q(before=F("after"))
    named = {"n": Count("pk"), "moved": Count("pk", filter=moved)}
    told: Any = rows.order_by().values_list("reason").annotate(**named, a=Min("at"), z=Max("at"))
    found: dict[str, Settled] = {}
    for reason, n, changed, first, last in told:
        words, is_taken = _given_for(reason), reason.startswith(TAKEN)
        given, moved_on, taken = (0, 0, n) if is_taken else (n, changed, 0)
        one = Settled(words, _round_of(words), given, moved_on, taken, first, last)
        found[words] = _together(found[words], one) if words in found else one
    return sorted(found.values(), key=lambda one: one.last, reverse=True)


def _together(one: Settled, other: Settled) -> Settled:
    return Settled(
        one.words,
        one.round,
        labels=one.labels + other.labels,
        changed=one.changed + other.changed,
        taken=one.taken + other.taken,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
    )


def _given_for(reason: str) -> str:
    words = reason.removeprefix(TAKEN)
    return words.rpartition("; ")[0] or words


def _round_of(words: str) -> int | None:
    found = ROUND.match(words)
    return int(found[1]) if found else None


def settled_rows(rows: QuerySet[LabelChange]) -> Iterator[dict[str, Any]]:
    """Yield a row an item in the columns of the decisions' export; the round stands under `by`."""
    found = rows.select_related("item", "before", "after").only(
        "at", "reason", "source", "item__key", "item__split", "before__name", "after__name"
    )
    for row in found.iterator(chunk_size=CHANGES_A_READ):
        is_taken = row.reason.startswith(TAKEN)
        nothing = {f"{name}_{side}": "" for name in STATE_SHOWN for side in ("before", "after")}
        yield nothing | {
            "decision": "",
            "at": row.at.isoformat(),
            "by": _given_for(row.reason),
            "second": "",
            "kind": "",
            "action": CONSENSUS,
            "undoes": "",
            "seconds": "",
            "touches_test": row.item.split == Split.TEST,
            "key": row.item.key,
            "label_before": row.before.name if row.before else "",
            "label_after": row.after.name if row.after else "",
            "label_source_before": LabelSource.CONSENSUS.value if is_taken else "",
            "label_source_after": row.source,
        }
