"""How the filter of Browse reads: its boxes, their counts, and the chips of what is on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import RoundItemState, Split
from quality.models import Action, Decision
from quality.queries.browse import Outline
from quality.queries.doubts import ANY
from quality.queries.facets import Facets
from quality.queries.facts import FACTS
from quality.queries.filters import PARAMETERS, SORTS, Filter, Shown
from quality.queries.regression import PINNED


@dataclass(frozen=True)
class Box:
    """One box of the filter: its field in the form, what it says and would show."""

    name: str
    value: str
    words: str
    count: int | None
    checked: bool


@dataclass(frozen=True)
class Group:
    """Boxes under one heading."""

    words: str
    boxes: list[Box]


@dataclass(frozen=True)
class Chip:
    """Something that is on, and the query without it."""

    words: str
    query: str


def groups_of(
    shown: Shown, outline: Outline, facets: Facets | None, *, kinds: Mapping[str, str]
) -> list[Group]:
    """Return the boxes beside the items, the same with counts (facets) and before they are there.

    What a dataset has nothing of is left out: kinds of flags, tags.
    """
    chosen = shown.filter
    counts = facets or Facets()
    n = _counter(is_known=facets is not None)
    groups = [
        Group(_("Class"), _class_boxes(shown, counts, n)),
        Group(
            _("Split"),
            [
                Box("split", value, str(words), n(counts.splits.get(value)), value in chosen.splits)
                for value, words in Split.choices
            ],
        ),
        Group(_("State"), _state_boxes(chosen, counts, n)),
        Group(
            _("Flags"),
            [
                Box("flag", name, words, n(counts.kinds.get(name)), name in chosen.flags)
                for name, words in kinds.items()
                if name in outline.kinds or name in chosen.flags
            ],
        ),
        Group(
            _("Tags"),
            [
                Box("tag", name, name, n(counts.tags.get(name)), name in chosen.tags)
                for name in dict.fromkeys([*outline.tags, *chosen.tags])
            ],
        ),
    ]
    return [group for group in groups if group.boxes]


def _counter(*, is_known: bool) -> Callable[[int | None], int | None]:
    """Return how a count is written: as it is, or not at all while nobody has counted."""
    return lambda count: (count or 0) if is_known else None


def _class_boxes(shown: Shown, counts: Facets, n: Callable[[int | None], int | None]) -> list[Box]:
    chosen = shown.filter
    boxes = [
        Box("class", row.name, row.name, n(counts.classes.get(row.pk)), row.name in chosen.classes)
        for row in shown.dataset.classes.all()
        if row.retired_at is None or counts.classes.get(row.pk) or row.name in chosen.classes
    ]
    none = n(counts.classes.get(None))
    return [*boxes, Box("unlabelled", "1", _("No label"), none, chosen.unlabelled)]


def _state_boxes(
    chosen: Filter, counts: Facets, n: Callable[[int | None], int | None]
) -> list[Box]:
    return [
        Box("flag", ANY, _("Has a flag"), n(counts.flagged), ANY in chosen.flags),
        Box("disputed", "1", _("Disputed"), n(counts.disputed), chosen.disputed),
        Box("odd", "1", _("Odd file"), n(counts.odd), chosen.odd),
        Box("excluded", "1", _("Excluded"), n(counts.excluded), chosen.excluded),
    ]


def chips_of(shown: Shown, *, kinds: Mapping[str, str]) -> list[Chip]:
    """Return one chip for everything that narrows the items."""
    chosen = shown.filter
    chips = [
        Chip(words, replace(chosen, **{field: _less(chosen, field, value)}).query())
        for field, value, words in _narrowing(chosen, kinds)
    ]
    if chosen.run:
        chips.append(_run_chip(shown))
    if chosen.has_range:
        fact = next(fact for fact in FACTS[shown.dataset.media] if fact.name == chosen.fact)
        words = _range(_(fact.words), fact.unit, low=chosen.low, high=chosen.high)
        chips.append(Chip(words, chosen.without("low", "high").query()))
    if chosen.random is not None:
        chips.append(Chip(_("at random"), chosen.without("random").query()))
    return chips


def _narrowing(chosen: Filter, kinds: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    told_as: dict[str, Mapping[str, Any]] = {
        "classes": {},
        "splits": dict(Split.choices),
        "flags": {ANY: _("Has a flag"), **kinds},
        "groups": {},
        "tags": {},
        "meta": {},
    }
    for field, words in told_as.items():
        for value in getattr(chosen, field):
            yield field, value, str(words.get(value, value))
    for field, told in (
        ("unlabelled", _("No label")),
        ("odd", _("Odd file")),
        ("disputed", _("Disputed")),
        ("excluded", _("Excluded")),
    ):
        if getattr(chosen, field):
            yield field, True, told
    if chosen.text:
        yield "text", chosen.text, f"“{chosen.text}”"
    if chosen.asked:
        number, _dot, state = chosen.asked.partition(".")
        told = _("in round no. %(n)s") % {"n": number}
        word = RoundItemState(state).label.lower() if state else ""
        yield "asked", chosen.asked, f"{told}, {word}" if word else told
    if chosen.doubt:
        yield "doubt", chosen.doubt, _("of one group in doubt")
    n = len(chosen.keys)
    if n:
        yield "keys", chosen.keys, ngettext("%(n)s key", "%(n)s keys", n) % {"n": n}
    n = len(chosen.like)
    if n:
        told = ngettext("like %(n)s item", "like %(n)s items", n) % {"n": n}
        yield "like", chosen.like, told


def _less(chosen: Filter, field: str, value: Any) -> Any:
    """Return a field's value without one of its parts."""
    held = getattr(chosen, field)
    if isinstance(held, tuple) and field not in ("keys", "like"):
        return tuple(one for one in held if one != value)
    return getattr(Filter(), field)


def _run_chip(shown: Shown) -> Chip:
    chosen = shown.filter
    parts = [_("run %(number)s") % {"number": chosen.run}]
    if chosen.given:
        parts.append(_("given %(name)s") % {"name": chosen.given})
    if chosen.predicted:
        parts.append(_("read as %(name)s") % {"name": chosen.predicted})
    if chosen.read:
        parts.append(_("read right") if chosen.read == "right" else _("read wrong"))
    return Chip(", ".join(parts), chosen.without("run", "given", "predicted", "read").query())


def _range(name: str, unit: str, *, low: float | None, high: float | None) -> str:
    values = " – ".join("" if end is None else f"{end:g}" for end in (low, high))
    return f"{name} {values} {unit}".strip()


@dataclass(frozen=True)
class Order:
    """A way to sort, and the query that asks for it."""

    words: str
    query: str
    is_on: bool


def sorts_of(shown: Shown) -> list[Order]:
    """Return the ways to sort, in the order of the menu; measurements least and most first."""
    chosen = shown.filter
    words = dict(zip(SORTS, (_("newest first"), _("by key"), _("suspicious first")), strict=True))
    for fact in FACTS[shown.dataset.media]:
        words[fact.name] = _("%(fact)s, least first") % {"fact": _(fact.words)}
        words[f"-{fact.name}"] = _("%(fact)s, most first") % {"fact": _(fact.words)}
    plain = chosen.without("random")
    return [
        Order(told, replace(plain, sort=sort).query(), sort == chosen.sort)
        for sort, told in words.items()
    ]


def carried(chosen: Filter) -> list[tuple[str, str]]:
    """Return the parameters that the form of boxes keeps but does not show."""
    shown = {"text", "classes", "unlabelled", "splits", "flags", "odd", "disputed", "excluded"}
    shown |= {"tags", "keys", "random"}
    return [(name, value) for name, value in chosen.pairs() if PARAMETERS[name] not in shown]


def done_words(decision: Decision) -> str:
    """Say what was done to a selection, in one sentence."""
    n = len(decision.after)
    state = decision.after[0]
    told = {
        Action.RELABEL: ngettext("%(n)s item is %(to)s now.", "%(n)s items are %(to)s now.", n),
        Action.EXCLUDE: ngettext("%(n)s item excluded.", "%(n)s items excluded.", n),
        Action.INCLUDE: ngettext("%(n)s item included again.", "%(n)s items included again.", n),
        Action.MOVE: ngettext("%(n)s item moved to %(to)s.", "%(n)s items moved to %(to)s.", n),
        Action.TAG: ngettext("%(n)s item tagged %(to)s.", "%(n)s items tagged %(to)s.", n),
        Action.FLAG: ngettext("%(n)s item flagged.", "%(n)s items flagged.", n),
        Action.CUT: ngettext("%(n)s clip cut to a second.", "%(n)s clips cut to a second.", n),
        Action.ROUND: ngettext("%(n)s item sent to a round.", "%(n)s items sent to a round.", n),
    }
    if PINNED in (state.get("tag"), state.get("untagged")):
        return _pinned_words(n, state)
    to = {Action.RELABEL: "label", Action.MOVE: "split", Action.TAG: "tag"}
    action = Action(decision.action)
    if action == Action.MOVE and len({state["split"] for state in decision.after}) > 1:
        words = ngettext("%(n)s item moved to its split.", "%(n)s items moved to other splits.", n)
        return words % {"n": n}
    return told[action] % {"n": n, "to": state.get(to.get(action, ""), "")}


def undone_words(decision: Decision) -> str:
    """Say what was taken back: the earlier sentence, quoted, because it no longer holds."""
    return _("Undone: “%(what)s”.") % {"what": done_words(decision).rstrip(".")}


def left_words(decision: Decision, undone: Decision) -> str:
    """Say how many items an undo left as they are; nothing if none."""
    left = len(decision.before) - len(undone.after)
    return _("%(n)s were changed since and stay as they are.") % {"n": left} if left else ""


def _pinned_words(n: int, state: dict[str, Any]) -> str:
    if "untagged" in state:
        return ngettext("%(n)s item unpinned.", "%(n)s items unpinned.", n) % {"n": n}
    words = ngettext("%(n)s item pinned.", "%(n)s items pinned.", n) % {"n": n}
    if sealed := state.get("sealed", 0):
        more = ngettext(
            "%(n)s test item is sealed and stays out.",
            "%(n)s test items are sealed and stay out.",
            sealed,
        )
        words += " " + more % {"n": sealed}
    return words
