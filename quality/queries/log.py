"""The log of decisions: who did what about which items, filtered as the page and its CSV are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Func, IntegerField, JSONField, Q, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from labeling.models import Dataset
from labeling.services import tombstones
from quality.models import Decision
from quality.queries.flags import STATE_SHOWN
from quality.queries.regression import PINNED

DECISIONS_A_PAGE = 50
ITEMS_SHOWN = 3  # of a decision about many
SIDES = ("before", "after")
BESIDE = ("by", "flag", "undone_by__by", "proposal__by", "proposal__second")


@dataclass(frozen=True)
class Entry:
    """One decision in words: `changes` are (item id, key, what of it) of its first items."""

    decision: Decision
    title: str
    changes: list[tuple[int | None, str, str]]
    n_items: int


def decisions_of(dataset: Dataset, wanted: Mapping[str, Any]) -> QuerySet[Decision]:
    """Return the decisions that a `LogForm` asks for, newest first."""
    rows = Decision.objects.filter(dataset=dataset).order_by("-pk")
    if wanted.get("by"):
        name = wanted["by"]
        rows = rows.filter(Q(by__username=name) | Q(proposal__second__username=name))
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
    shown = list(_with_first_states(rows.select_related(*BESIDE))[: DECISIONS_A_PAGE + 1])
    others = [row.pk for row in shown if not _are_beside(row)]
    whole = dict(Decision.objects.filter(pk__in=others).values_list("pk", "after"))
    return [_entry(row, whole.get(row.pk) or _first(row, "after"), gone) for row in shown]


def _with_first_states(rows: QuerySet[Decision]) -> QuerySet[Any]:
    """Read the states of the first items only: a decision may hold those of 10,000."""
    beside = ("undone_by", "proposal")
    rows = rows.defer("flag__evidence", *SIDES, *(f"{of}__{s}" for of in beside for s in SIDES))
    first = {f"first_{side}": _beginning(side) for side in SIDES}
    return rows.annotate(n_items=_length("before"), **first)


def _beginning(side: str) -> Func:
    """Read the first entries of a JSON list at once: asked for one by one, each reads the list."""
    if connection.vendor == "sqlite":
        places = [Value(f"$[{place}]") for place in range(ITEMS_SHOWN)]
        return Func(side, *places, function="JSON_EXTRACT", output_field=JSONField())
    path = RawSQL("%s::jsonpath", [f"$[0 to {ITEMS_SHOWN - 1}]"])
    return Func(side, path, function="JSONB_PATH_QUERY_ARRAY", output_field=JSONField())


def _length(side: str) -> Func:
    """Count the entries of a JSON list."""
    name = "JSON_ARRAY_LENGTH" if connection.vendor == "sqlite" else "JSONB_ARRAY_LENGTH"
    return Func(side, function=name, output_field=IntegerField())


def _first(row: Any, side: str) -> list[dict[str, Any]]:
    return [state for state in getattr(row, f"first_{side}") or () if state]


def _are_beside(row: Any) -> bool:
    """Whether both sides begin with the same items; an undo may list them otherwise."""
    before, after = ([state["key"] for state in _first(row, side)] for side in SIDES)
    return before == after


def _entry(row: Any, after: list[dict[str, Any]], gone: set[str]) -> Entry:
    states = {state["key"]: state for state in after}
    told = [
        (state.get("item"), state["key"], _change(state, states.get(state["key"], {})))
        for state in _first(row, "before")
    ]
    masked = tombstones.redacted(told, dataset=row.dataset_id, gone=gone) if gone else told
    title = _title(row, after[0] if after else {})
    return Entry(row, title, [tuple(one) for one in masked], row.n_items)


def _title(row: Decision, after: Mapping[str, Any]) -> str:
    """Say what was done; the tag that pins is no word that people chose."""
    if after.get("tag") == PINNED:
        return _("Pinned to the regression set")
    if after.get("untagged") == PINNED:
        return _("Taken out of the regression set")
    return str(row.get_action_display())


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say what became of an item.

    >>> _change({"label": "cat", "split": "train"}, {"label": "dog", "split": "train"})
    'cat → dog'
    """
    changed = [
        _excluded(before, after)
        if name == "excluded"
        else f"{before.get(name) or '–'} → {after.get(name) or '–'}"
        for name in STATE_SHOWN
        if name in after and before.get(name) != after.get(name) and name != "label_source"
    ]
    if before.get("content") != after.get("content"):
        changed.append(_("bytes %(old)s → %(new)s") % _named(before, after))
    return ", ".join(changed) or _tagged(before, after)


def _excluded(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say why an item is left out, or that it no longer is."""
    if why := after.get("excluded"):
        return _("left out: %(why)s") % {"why": why}
    return _("no longer left out: %(why)s") % {"why": before.get("excluded")}


def _tagged(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say which tag came or went with an undo; what a title says need not be said again."""
    if PINNED in (after.get("tag"), after.get("untagged")):
        return ""
    if "tag" in after:
        return _("tagged “%(tag)s”") % {"tag": after["tag"]}
    if before.get("tag") == PINNED:
        return _("pinned no longer")
    if before.get("untagged") == PINNED:
        return _("pinned again")
    if "tag" in before:
        return _("tagged “%(tag)s” no longer") % {"tag": before["tag"]}
    return _("stays as it is")


def _named(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    return {"old": before.get("content", "")[:12], "new": after.get("content", "")[:12]}


def people_of(dataset: Dataset) -> list[str]:
    """Return the names of who decided or, as second ones, answered."""
    rows = Decision.objects.filter(dataset=dataset).order_by()
    first, second = "by__username", "proposal__second__username"
    return sorted(
        {name for pair in rows.values_list(first, second).distinct() for name in pair if name}
    )
