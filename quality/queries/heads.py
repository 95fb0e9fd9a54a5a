"""Heads in words: the one of a run, and those that a search tried before it."""

from typing import Any

from django.utils.translation import gettext as _

from labeling.templatetags.figures import points
from mlcore.protocols import Protocol


def head_words(changes: dict[str, Any]) -> str:
    """Say which head a protocol names, or what a search changed of the usual one."""
    words = [_("linear")]
    if hidden := changes.get("hidden"):
        words = [_("%(n)s hidden units") % {"n": hidden}]
    if hidden and changes.get("dropout"):
        words.append(_("dropout %(n)s") % {"n": f"{changes['dropout']:g}"})
    times = changes.get("l2", Protocol.l2) / Protocol.l2
    if times != 1:
        words.append(_("penalty x %(n)s") % {"n": f"{times:g}"})
    return ", ".join(words)


def search_card(search: dict[str, Any] | None, protocol: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a search found in a sentence, and each head that it tried."""
    if search is None:
        return None
    rows = [
        {**tried, "title": head_words(tried["changes"]), "is_kept": place == search["kept"]}
        for place, tried in enumerate(search["heads"])
    ]
    return {"words": _search_words(rows, search), "rows": rows, "seconds": protocol.get("search")}


def _search_words(rows: list[dict[str, Any]], search: dict[str, Any]) -> str:
    if not rows:
        return _("Too few items or groups to try heads on: the usual linear head is used.")
    counts = {"heads": len(rows), "n": search["n"]}
    kept = rows[search["kept"]]
    if kept["lead"] is None:
        return (
            _(
                "%(heads)s heads predicted %(n)s items by parts that they had not learned: none is "
                "clearly better than the usual linear head, which stays."
            )
            % counts
        )
    return _(
        "%(heads)s heads predicted %(n)s items by parts that they had not learned: kept is the "
        "one with %(title)s, %(lead)s points above the usual linear head."
    ) % {**counts, "title": kept["title"], "lead": points(kept["lead"]["value"])}
