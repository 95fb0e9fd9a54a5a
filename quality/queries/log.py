"""The log of decisions: who did what about which items, filtered as the page and its CSV are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from labeling.models import Dataset
from labeling.services import tombstones
from quality.models import Decision
from quality.queries.flags import STATE_SHOWN

DECISIONS_A_PAGE = 50
ITEMS_SHOWN = 3  # of a decision about many


@dataclass(frozen=True)
class Entry:
    """One decision in words: `changes` are (item id, key, what of it) of its first items."""

    decision: Decision
    changes: list[tuple[int | None, str, str]]
    n_items: int


def decisions_of(dataset: Dataset, wanted: Mapping[str, Any]) -> QuerySet[Decision]:
    """Return the decisions that a `LogForm` asks for, newest first."""
    rows = Decision.objects.filter(dataset=dataset).order_by("-pk")
    if wanted.get("by"):
        rows = rows.filter(by__username=wanted["by"])
    if wanted.get("action"):
        rows = rows.filter(action=wanted["action"])
    if wanted.get("kind"):
        rows = rows.filter(flag__kind=wanted["kind"])
    if wanted.get("since"):
        rows = rows.filter(at__date__gte=wanted["since"])
    if wanted.get("until"):
        rows = rows.filter(at__date__lte=wanted["until"])
    if wanted.get("test"):
        rows = rows.filter(touches_test=True)
    return rows


def entries_of(dataset: Dataset, rows: QuerySet[Decision], *, before: int = 0) -> list[Entry]:
    """Return a page of the log, and one entry more where there is a next page."""
    if before:
        rows = rows.filter(pk__lt=before)
    gone = tombstones.keys_of(dataset.pk)
    shown = rows.select_related("by", "flag", "undone_by__by")[: DECISIONS_A_PAGE + 1]
    return [_entry(row, gone) for row in shown]


def _entry(row: Decision, gone: set[str]) -> Entry:
    after = {state["key"]: state for state in row.after}
    told = [
        (state.get("item"), state["key"], _change(state, after.get(state["key"], {})))
        for state in row.before[:ITEMS_SHOWN]
    ]
    masked = tombstones.redacted(told, dataset=row.dataset_id, gone=gone) if gone else told
    return Entry(row, [tuple(one) for one in masked], len(row.before))


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say what became of an item.

    >>> _change({"label": "cat", "split": "train"}, {"label": "dog", "split": "train"})
    'cat → dog'
    """
    changed = [
        f"{before.get(name) or '–'} → {after.get(name) or '–'}"
        for name in STATE_SHOWN
        if name in after and before.get(name) != after.get(name) and name != "label_source"
    ]
    if before.get("content") != after.get("content"):
        changed.append(_("bytes %(old)s → %(new)s") % _named(before, after))
    return ", ".join(changed) or _("stays as it is")


def _named(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    return {"old": before.get("content", "")[:12], "new": after.get("content", "")[:12]}


def people_of(dataset: Dataset) -> list[str]:
    """Return the names of who decided."""
    rows = Decision.objects.filter(dataset=dataset, by__isnull=False).order_by()
    return sorted(rows.values_list("by__username", flat=True).distinct())
