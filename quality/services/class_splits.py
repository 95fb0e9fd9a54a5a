"""A part of a class gets a name of its own, and the guideline says which is which."""

from typing import Any

from django.utils.translation import gettext as _

from labeling.models import Guideline, LabelClass, User
from labeling.services.datasets import MOST_NAME_CHARACTERS, add_classes, retire_class
from labeling.services.guidelines import publish_guideline
from quality.models import Action, Decision, Flag


class NameRefusedError(Exception):
    """The part cannot be called so; the words say why."""


def class_named(flag: Flag, name: str) -> tuple[LabelClass, dict[str, Any]]:
    """Return the class that the split-off part goes into, and whether it was made for it."""
    wanted = name.strip()
    if not wanted or wanted == flag.given:
        raise NameRefusedError(_("Say what the other class is called, then split."))
    is_new = bool(add_classes(dataset=flag.dataset, names=[wanted]))
    found = flag.dataset.classes.get(name=wanted[:MOST_NAME_CHARACTERS])
    if found.retired_at and _was_made_by_a_split(flag, found):  # which was undone
        retire_class(label_class=found, retired=False)
        is_new = True
    if found.retired_at:
        raise NameRefusedError(_("“%(name)s” is retired; bring it back first.") % {"name": name})
    return found, {"made_class": found.pk} if is_new else {}


def _was_made_by_a_split(flag: Flag, label: LabelClass) -> bool:
    afters = flag.decisions.filter(action=Action.SPLIT).values_list("after", flat=True)
    return any(state.get("made_class") == label.pk for after in afters for state in after)


def write_rule(flag: Flag, label: LabelClass, rule: str, *, by: User | None) -> dict[str, Any]:
    """Publish the guideline with a line more: what makes an item one of the new class."""
    if not rule.strip():
        return {}
    newest = flag.dataset.guidelines.first()
    line = f"**{label.name}** ({_('not %(label)s') % {'label': flag.given}}): {rule.strip()}"
    text = f"{newest.text.rstrip()}\n\n{line}\n" if newest and newest.text.strip() else f"{line}\n"
    told = {"new": label.name, "given": flag.given}
    words = _("“%(new)s” is a class apart from “%(given)s” now") % told
    made = publish_guideline(dataset=flag.dataset, text=text, by=by, change=words[:200])
    return {"made_guideline": made.pk}


def take_back(decision: Decision, *, by: User | None) -> None:
    """Take what a split made out of use again, unless something stands on it by now."""
    made: dict[str, Any] = next((told for told in decision.after if "made_class" in told), {})
    unused = LabelClass.objects.filter(retired_at__isnull=True, items__isnull=True)
    if label := unused.filter(pk=made.get("made_class", 0)).first():
        retire_class(label_class=label, retired=True)
    after = decision.after
    written: dict[str, Any] = next((told for told in after if "made_guideline" in told), {})
    newest = decision.dataset.guidelines.first()
    if newest and newest.pk == written.get("made_guideline"):
        _publish_as_before(newest, by=by)


def _publish_as_before(newest: Guideline, *, by: User | None) -> None:
    dataset = newest.dataset
    before = dataset.guidelines.filter(number__lt=newest.number).first()
    text = before.text if before else ""
    words = _("Taken back: %(change)s") % {"change": newest.change}
    publish_guideline(dataset=dataset, text=text, by=by, change=words[:200])
