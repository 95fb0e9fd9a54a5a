"""What a reviewer may press about a flag: words, key, and whether it touches test items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.models import Item, LabelClass, Media, Split
from quality.detectors import KINDS
from quality.models import Action, Flag
from quality.services.decisions import DecisionRefusedError, plan_for, still_doubted

#: Reasons offered for leaving an item out, by what kind of item it is.
EXCLUDE_REASONS: dict[str, tuple[Any, ...]] = {
    Media.IMAGE: (
        gettext_lazy("too blurred, dark or small"),
        gettext_lazy("nothing of what is asked for"),
        gettext_lazy("broken"),
    ),
    Media.AUDIO: (
        gettext_lazy("silent or only noise"),
        gettext_lazy("cut off"),
        gettext_lazy("too loud, distorted"),
    ),
    Media.TEXT: (
        gettext_lazy("empty or garbled"),
        gettext_lazy("another language"),
        gettext_lazy("not what is asked for"),
    ),
}


@dataclass(frozen=True)
class Choice:
    """One button. `value` is what the form sends: an action, a colon, what it acts with."""

    value: str
    words: str
    code: str
    cap: str
    touches_test: bool = False
    asks_reason: bool = False


@dataclass(frozen=True)
class Choices:
    """The buttons of a flag: the proposal, refusing it, and the rest.

    `settled` counts items of a group that were settled one by one since the check. A candidate
    is likely fine: nothing is proposed, and Enter decides nothing.
    """

    main: Choice | None
    keep: Choice
    others: list[Choice]
    small: list[Choice]
    classes: list[Choice]
    more_classes: list[Choice]
    what_happens: list[str]
    settled: int = 0
    is_candidate: bool = False

    @property
    def warns(self) -> list[Choice]:
        everything = [*([self.main] if self.main else []), *self.others, *self.small, *self.classes]
        return [choice for choice in everything if choice.touches_test]


def choices_for(
    flag: Flag,
    items: Sequence[Item],
    *,
    roles: dict[int, str],
    classes: Any,
    people: int,
    backed: bool,
) -> Choices:
    """Return the buttons for a flag; asks the database nothing.

    Enter stands for what the doubt proposes, all along a queue, and for nothing where that is not
    `backed`, expected right. A label has its suggestion beside it, whose key stays the same.
    """
    build, about = _Builder(flag, items, roles), KINDS[flag.kind].about
    if about == "column":
        found = build.of_column()
    elif about in ("class", "slice"):
        found = _of_group(flag, items, roles, people=people)
    elif about == "split":
        found = build.of_split()
    elif about == "part":
        found = build.of_part()
    elif about == "set" and len(items) > 1:
        found = build.of_set(people)
    else:
        found = build.of_item(classes, people)
    return found if backed or flag.suggested else _proposing_nothing(found)


def _of_group(flag: Flag, items: Sequence[Item], roles: dict[int, str], *, people: int) -> Choices:
    doubted = [item for item in items if roles.get(item.pk) != "example"]
    there = still_doubted(flag, doubted)
    build = _Builder(flag, there, roles)
    is_class = KINDS[flag.kind].about == "class"
    found = build.of_class(people) if is_class else build.of_slice(people)
    return replace(found, settled=len(doubted) - len(there))


class _Builder:
    def __init__(self, flag: Flag, items: Sequence[Item], roles: dict[int, str]) -> None:
        self.flag, self.items, self.roles = flag, items, roles

    def choice(
        self, action: Action, words: str, code: str, *, argument: str = "", **choice: Any
    ) -> Choice | None:
        """Return a button, or None where the action is not possible."""
        label = choice.pop("label", None)
        cap = choice.pop("cap", None) or ("↵" if code == "Enter NumpadEnter" else code[-1:])
        try:
            plan = plan_for(
                self.flag,
                self.items,
                action=action,
                label=label,
                keep=int(argument) if action == Action.MERGE else None,
                split=argument if action == Action.MOVE else "",
            )
        except DecisionRefusedError:
            return None
        value = f"{action}:{argument}" if argument else str(action)
        return Choice(value, words, code, cap, plan.touches_test(self.items), **choice)

    def of_set(self, people: int) -> Choices:
        group = self.flag.evidence.get("group")
        if group is not None:
            main, others = self.take_out_group(), []
        else:
            main = self.merge(self.proposed, main=True)
            others = [self.merge(item) for item in self.items if item.pk != self.proposed.pk]
        others.append(self.all_into_one_split())
        keep = self.keep(_("Leave them as they are") if group is not None else _("Not copies"))
        small = [self.choice(Action.ROUND, _ask_words(people), "KeyD")]
        return Choices(
            main=main,
            keep=keep,
            others=_there(others),
            small=_there(small),
            classes=[],
            more_classes=[],
            what_happens=self.what_happens(group),
        )

    def of_column(self) -> Choices:
        main = self.choice(Action.CONFIRM, _("No: it gives the answer away"), "Enter NumpadEnter")
        return _few(main, self.keep(_("Yes: it is known, leave it")))

    def of_class(self, people: int) -> Choices:
        told = {"n": len(self.items), "label": self.flag.given}
        split = _("Give the smaller part (%(n)s) the new name") % told
        ask = _ask_words(people) + _(" about the smaller part")
        out = _("Leave the smaller part out (%(n)s)") % told
        return _few(
            self.choice(Action.SPLIT, split, "Enter NumpadEnter"),
            self.keep(_("One thing: keep %(label)s whole") % told),
            self.choice(Action.ROUND, ask, "KeyD"),
            self.choice(Action.EXCLUDE, out, "KeyX"),
        )

    def of_split(self) -> Choices:
        main = self.choice(Action.CONFIRM, _("No: I will divide anew"), "Enter NumpadEnter")
        return _few(main, self.keep(_("Yes: it is meant, leave it")))

    def of_part(self) -> Choices:
        main = self.choice(Action.CONFIRM, _("No: the set has to change"), "Enter NumpadEnter")
        return _few(main, self.keep(_("Yes: it is meant, leave it")))

    def of_slice(self, people: int) -> Choices:
        told, ask = {"n": len(self.items)}, _ask_words(people) + _(" about these items")
        return _few(
            self.choice(Action.ROUND, ask, "Enter NumpadEnter KeyD", cap="↵"),
            self.keep(_("Nothing is wrong: they are hard")),
            self.choice(Action.CONFIRM, _("It is so: more such items are needed"), "KeyC"),
            self.choice(Action.EXCLUDE, _("Leave them out (%(n)s)") % told, "KeyX"),
        )

    @property
    def proposed(self) -> Item:
        marked = [item for item in self.items if self.roles.get(item.pk) == "keep"]
        in_test = [item for item in self.items if item.split == Split.TEST]
        both = [item for item in marked if item in in_test]
        return (both or in_test or marked or list(self.items))[0]

    def number(self, item: Item) -> int:
        return 1 + [one.pk for one in self.items].index(item.pk)

    def merge(self, item: Item, *, main: bool = False) -> Choice | None:
        number = self.number(item)
        out = [str(self.number(one)) for one in self.items if self.leaves(one, item)]
        if not out:
            return None
        words = _("Keep %(n)s instead") % {"n": number}
        if main:
            told = _(" and ").join(filter(None, [", ".join(out[:-1]), out[-1]]))
            words = _("Keep %(n)s, take out %(out)s") % {"n": number, "out": told}
        code = "Enter NumpadEnter" if main else f"Digit{number}" if number < 10 else ""
        return self.choice(Action.MERGE, words, code, argument=str(item.pk))

    def leaves(self, item: Item, kept: Item) -> bool:
        plan = plan_for(self.flag, self.items, action=Action.MERGE, keep=self.proposed.pk)
        if kept.pk != self.proposed.pk:
            try:
                plan = plan_for(self.flag, self.items, action=Action.MERGE, keep=kept.pk)
            except DecisionRefusedError:
                return False
        return item.pk in plan.exclude

    def take_out_group(self) -> Choice | None:
        plan = plan_for(self.flag, self.items, action=Action.EXCLUDE)
        words = _("Take %(n)s out, keep the rest") % {"n": len(plan.exclude)}
        return self.choice(Action.EXCLUDE, words, "Enter NumpadEnter")

    def all_into_one_split(self) -> Choice | None:
        splits = {item.split for item in self.items}
        if len(splits) < 2:
            return None
        target = Split.TEST if Split.TEST in splits else Split.TRAIN
        words = _("Same source: all into %(split)s") % {"split": target}
        return self.choice(Action.MOVE, words, "KeyJ", argument=str(target))

    def keep(self, words: str) -> Choice:
        return Choice(str(Action.KEEP), words, "KeyK", "K")

    def what_happens(self, group: str | None) -> list[str]:
        """One line per copy: what the proposal does to it."""
        if group is not None:
            return []
        plan = plan_for(self.flag, self.items, action=Action.MERGE, keep=self.proposed.pk)
        return [_fate(item, leaves=item.pk in plan.exclude) for item in self.items]

    def of_item(self, classes: Any, people: int) -> Choices:
        by_name = {one.name: one for one, _code in classes}
        apart = self.flag.evidence.get("apart", {})
        label = by_name.get(self.flag.suggested)
        item = self.items[0]
        given = self.flag.given
        if apart or not KINDS[self.flag.kind].is_doubt:
            main, keep = None, _("Keep %(label)s") % {"label": given}
        elif label is not None:
            words = _("Relabel as %(label)s") % {"label": label.name}
            main = self.relabel(label, words, "Enter NumpadEnter")
            keep = _("Keep %(label)s") % {"label": given}
        else:
            main = self.choice(Action.EXCLUDE, _("Leave it out"), "Enter NumpadEnter")
            keep = _("Keep it, it is fine")
        ask = _ask_words(people)
        if given:
            ask += _(": “Is this %(label)s?”") % {"label": given}
        out = _("Out of %(split)s") % {"split": item.get_split_display().lower()}
        small = [
            self.choice(Action.EXCLUDE, _("Exclude…"), "KeyX", asks_reason=True),
            None if item.split == Split.NONE else self.choice(Action.MOVE, out, "KeyV"),
        ]
        offered = [self.relabel(one, one.name, code) for one, code in classes]
        known = [one for one in offered if one]
        return Choices(
            main=main,
            keep=self.keep(keep),
            others=_there([*self.as_named(apart, by_name), self.choice(Action.ROUND, ask, "KeyD")]),
            small=_there(small),
            classes=[one for one in known if one.code],
            more_classes=[one for one in known if not one.code],
            what_happens=[],
        )

    def as_named(
        self, apart: dict[str, str], by_name: dict[str, LabelClass]
    ) -> list[Choice | None]:
        """Return a button for what the model says and one for what the neighbours say."""
        told = (
            ("model", "KeyM", _("Relabel as %(label)s, as the model says")),
            ("neighbours", "KeyN", _("Relabel as %(label)s, as the neighbours say")),
        )
        return [
            self.relabel(by_name[apart[who]], words % {"label": apart[who]}, code)
            for who, code, words in told
            if apart.get(who) in by_name and apart[who] != self.flag.given
        ]

    def relabel(self, label: LabelClass, words: str, code: str) -> Choice | None:
        cap = f"⇧{code[-1]}" if code.startswith("Shift+") else None
        return self.choice(
            Action.RELABEL, words, code, argument=str(label.pk), label=label, cap=cap
        )


def _proposing_nothing(found: Choices) -> Choices:
    """Give the doubt's answer a key of its own: pressed in rhythm, Enter must change nothing."""
    asks = found.main and found.main.value == Action.ROUND
    code, cap = ("KeyD", "D") if asks else ("KeyC", "C")
    other = replace(found.main, code=code, cap=cap) if found.main else None
    others = [other, *found.others] if other else found.others
    return replace(found, main=None, others=others, what_happens=[], is_candidate=True)


def _few(main: Choice | None, keep: Choice, *others: Choice | None) -> Choices:
    return Choices(main, keep, _there(others), [], [], [], [])


def _ask_words(people: int) -> str:
    return _("Ask %(n)s people") % {"n": people} if people > 1 else _("Ask people")


def _fate(item: Item, *, leaves: bool) -> str:
    split = item.get_split_display().lower()
    named = {"split": split, "label": item.label.name if item.label else _("no label")}
    if leaves:
        return _("leaves %(split)s, and its label %(label)s with it") % named
    return _("stays in %(split)s, label %(label)s") % named


def _there(choices: Any) -> list[Choice]:
    return [choice for choice in choices if choice is not None]
