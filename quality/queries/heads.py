"""Heads in words: the one of a run, and those that a search tried before it."""

from collections import Counter
from typing import Any

from django.utils.translation import gettext as _

from labeling.templatetags.figures import decimals, points, share, signed
from mlcore.protocols import Protocol


def head_words(changes: dict[str, Any]) -> str:
    """Say which head a protocol names, or what a search changed of the usual one."""
    if changes.get("tuned"):
        return _("last block fine-tuned")
    words = [_("linear")]
    if hidden := changes.get("hidden"):
        words = [_("%(n)s hidden units") % {"n": hidden}]
    if hidden and changes.get("dropout"):
        words.append(_("dropout %(n)s") % {"n": f"{changes['dropout']:g}"})
    times = changes.get("l2", Protocol.l2) / Protocol.l2
    if times != 1:
        words.append(_("penalty x %(n)s") % {"n": f"{times:g}"})
    return ", ".join(words)


def search_card(metrics: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a search found in a sentence, and each head that it tried."""
    search = metrics.get("search")
    if search is None:
        return None
    is_cost = search.get("is_cost", False)
    heads = [{"value": tried.get("accuracy"), **tried} for tried in search["heads"]]  # as once kept
    write = (lambda value: signed(value, 3)) if is_cost else points
    rows = [
        {
            "title": head_words(tried["changes"]),
            "is_kept": place == search["kept"],
            "value": (decimals(tried["value"], 3) if is_cost else share(tried["value"])),
            "lead": {name: write(value) for name, value in (tried["lead"] or {}).items()},
        }
        for place, tried in enumerate(heads)
    ]
    words = _search_words(rows, search)
    if "fold_heads" in metrics:  # before, all folds took one head that their own items chose
        words += " " + _fold_words(metrics["fold_heads"])
    metric = search.get("title") or _("Accuracy")
    return {
        "words": words,
        "rows": rows,
        "seconds": protocol.get("search", 0) + protocol.get("tuning", 0),
        "metric": metric,
        "unit": _("better than usual") if is_cost else _("points better than usual"),
    }


def _search_words(rows: list[dict[str, Any]], search: dict[str, Any]) -> str:
    if not rows:
        why = search.get("reason") or _("Too few items, groups or seconds to try heads on.")
        return why + " " + _("The usual linear head is used.")
    tried = _("%(heads)s heads predicted %(n)s items by parts that they had not learned:") % {
        "heads": len(rows),
        "n": search["n"],
    }
    surprise = search["heads"][-1].get("surprise")
    if surprise and search["kept"] == len(rows) - 1:
        why = _("fine-tuning is kept, being not clearly worse than the best frozen head")
        return f"{tried} {why}, {_surprise_words(surprise)}."
    words = _("none is clearly better than the usual linear head, which stays")
    if (kept := rows[search["kept"]])["lead"]:
        words = _("kept is the one with %(title)s, %(lead)s above the usual linear head") % {
            "title": kept["title"],
            "lead": kept["lead"]["value"],
        }
    if surprise:
        words += "; " + _("fine-tuning is clearly worse") + ", " + _surprise_words(surprise)
    return f"{tried} {words}."


def _surprise_words(surprise: dict[str, Any]) -> str:
    """Say how fine-tuning did by log loss."""
    return _("log loss %(more)s nats an item (%(low)s to %(high)s; less is better)") % {
        "more": signed(surprise["value"], 2),
        "low": signed(surprise["low"], 2),
        "high": signed(surprise["high"], 2),
    }


def _fold_words(heads: list[dict[str, Any]]) -> str:
    """Say which heads the folds have, each chosen without the items that it predicts."""
    if not heads:
        return _("No item that judges this run had a say.")
    counts = Counter(head_words(head) for head in heads)
    listed = "; ".join(f"{title} x {n}" for title, n in counts.most_common())
    return _(
        "So that no item has a say in how it is predicted, the folds took heads that other such "
        "searches found in what they learn from: %(heads)s."
    ) % {"heads": listed}
