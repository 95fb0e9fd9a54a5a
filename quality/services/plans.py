"""What a decision changes of items, how that is carried out, and how it is put back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from labeling.models import Item, LabelClass, LabelSource, Split, User
from labeling.services import labels
from labeling.services.contents import files_changed

ROWS_A_STATEMENT = 200
STATE = ("label_id", "label_source", "split", "excluded")


class NothingToChangeError(Exception):
    """All of the items are like that already; the words say so."""


@dataclass
class Plan:
    """What a decision changes, by item id."""

    relabel: dict[int, LabelClass] = field(default_factory=dict)
    exclude: dict[int, str] = field(default_factory=dict)
    move: dict[int, str] = field(default_factory=dict)
    ask: list[int] = field(default_factory=list)

    @property
    def items(self) -> set[int]:
        """The items (ids) that change."""
        return {*self.relabel, *self.exclude, *self.move}

    def touches_test(self, items: Iterable[Item]) -> bool:
        """Whether a test item changes, or one becomes a test item."""
        for item in items:
            is_changed = item.pk in self.exclude or (
                item.pk in self.relabel and self.relabel[item.pk].pk != item.label_id
            )
            target = self.move.get(item.pk, item.split)
            if (is_changed and item.split == Split.TEST) or (
                target != item.split and Split.TEST in (target, item.split)
            ):
                return True
        return False

    def foretold(self, items: Iterable[Item]) -> list[dict[str, Any]]:
        """Return the states that items would have; a later `Plan.between` makes it so."""
        states = []
        for item in items:
            label = self.relabel.get(item.pk, item.label)
            now = {"label": label.name if label else None, "label_id": label and label.pk}
            now["split"] = self.move.get(item.pk, item.split)
            now["excluded"] = self.exclude.get(item.pk, item.excluded)
            states.append(state_of(item) | now)
        return states

    @classmethod
    def between(
        cls,
        pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
        *,
        classes: Mapping[int, LabelClass],
    ) -> Self:
        """Return what leads from one state to another, for items given as (before, after)."""
        plan = cls()
        for before, after in pairs:
            item = before["item"]
            if after["label_id"] != before["label_id"]:
                plan.relabel[item] = classes[after["label_id"]]
            if after["excluded"] != before["excluded"]:
                plan.exclude[item] = after["excluded"]
            if after["split"] != before["split"]:
                plan.move[item] = after["split"]
        return plan


def state_of(item: Item) -> dict[str, Any]:
    """Return what a decision may change of an item, as history keeps it."""
    return {
        "item": item.pk,
        "key": item.key,
        "label": item.label.name if item.label else None,
        "label_id": item.label_id,
        "label_source": item.label_source,
        "split": item.split,
        "excluded": item.excluded,
    }


def state_with_content(item: Item) -> dict[str, Any]:
    """Return the state of an item whose bytes a decision changes."""
    return {**state_of(item), "content": item.content_id, "odd": item.odd}


def carry_out(plan: Plan, *, by: User | None, reason: str) -> None:
    """Change the items through the services of labels; asking people is left to the caller."""
    if plan.relabel:
        labels.set_labels(labels=plan.relabel, source=LabelSource.REVIEW, by=by, reason=reason)
    _exclude(plan.exclude)
    _move(plan.move)


def restore(states: Sequence[Mapping[str, Any]], *, by: User | None, reason: str) -> None:
    """Give items back the labels, splits and exclusions that `state_of` kept of them."""
    labels.restore_labels(
        labels={state["item"]: (state["label_id"], state["label_source"]) for state in states},
        by=by,
        reason=reason,
    )
    _exclude({state["item"]: state["excluded"] for state in states})
    _move({state["item"]: state["split"] for state in states})


def restore_contents(states: Sequence[Mapping[str, Any]]) -> None:
    """Give items back the bytes that `state_with_content` kept of them."""
    wanted = {state["item"]: state for state in states}
    items = list(Item.objects.filter(pk__in=list(wanted)))
    for item in items:
        item.content_id, item.odd = wanted[item.pk]["content"], wanted[item.pk]["odd"]
    Item.objects.bulk_update(items, ["content", "odd"], ROWS_A_STATEMENT)
    for dataset in {item.dataset_id for item in items}:
        files_changed(dataset)


def _exclude(reasons: Mapping[int, str]) -> None:
    for reason, items in _by_value(reasons).items():
        labels.exclude_items(items=items, reason=reason)


def _move(splits: Mapping[int, str]) -> None:
    for split, items in _by_value(splits).items():
        labels.move_items(items=items, split=split)


def _by_value(values: Mapping[int, str]) -> dict[str, list[int]]:
    items = defaultdict(list)
    for item, value in values.items():
        items[value].append(item)
    return items
