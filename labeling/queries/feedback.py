"""Reads about what a qualification tells: what an answer was worth, which items are hard."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef

from labeling.models import Annotation, Answer, GoldItem, Item, Round
from labeling.queries import guidelines
from labeling.queries.qualifications import answers_of

EXAMPLES_SHOWN = 2  # beside an answer that was wrong
ITEMS_SHOWN = 100


@dataclass(frozen=True)
class Feedback:
    """What somebody is told after an answer in a qualification."""

    is_right: bool
    known: str
    why: str
    examples: list[guidelines.Shown]

    @property
    def is_known(self) -> bool:
        return bool(self.known)


def feedback_on(given: Annotation) -> Feedback:
    """Return whether an answer is right, the right class and why; no class where gold retired."""
    return feedbacks_on(given.round, [given])[given.pk]


def feedbacks_on(asking: Round, rows: Iterable[Annotation]) -> dict[int, Feedback]:
    """Return the feedback on each answer (by id) of a round."""
    given = [row for row in rows if row.answer != Answer.SKIP]
    gold = GoldItem.objects.filter(
        item__in=[row.item_id for row in given], retired_at__isnull=True
    ).select_related("label")
    known = {row.item_id: row for row in gold}
    examples = {row.name: row.examples for row in guidelines.examples_of(asking.guideline)}
    notes = {
        (row["item"], row["class"]): row["note"]
        for row in (asking.guideline.examples if asking.guideline else [])
    }
    return {row.pk: _feedback(row, known.get(row.item_id), notes, examples) for row in given}


def _feedback(
    given: Annotation,
    gold: GoldItem | None,
    notes: dict[tuple[int, str], str],
    examples: dict[str, list[guidelines.Shown]],
) -> Feedback:
    if gold is None:
        return Feedback(False, "", "", [])
    name, is_right = gold.label.name, given.label_id == gold.label_id
    why = gold.why or notes.get((given.item_id, name), "")
    shown = [] if is_right else [row for row in examples.get(name, []) if row.is_right]
    return Feedback(is_right, name, why, shown[:EXAMPLES_SHOWN])


@dataclass(frozen=True)
class AskedItem:
    """An item of a qualification with how many got it right in their attempt at hand."""

    item: Item
    known: str
    answered: int
    right: int

    @property
    def share(self) -> float | None:
        return self.right / self.answered if self.answered else None


def items_of(asking: Round) -> list[AskedItem]:
    """Return a qualification's items, the hardest first."""
    label = GoldItem.objects.filter(item=OuterRef("item"), retired_at__isnull=True)
    said = answers_of(asking).filter(Exists(label))
    answered = Counter(said.values_list("item", flat=True))
    right = said.filter(
        item__gold__retired_at__isnull=True, item__gold__label=F("label")
    ).values_list("item", flat=True)
    rightly = Counter(right)
    gold = GoldItem.objects.filter(
        item__round_items__round=asking, retired_at__isnull=True
    ).select_related("item__content", "label")
    rows = [
        AskedItem(row.item, row.label.name, answered[row.item_id], rightly[row.item_id])
        for row in gold
    ]
    rows.sort(key=lambda row: (row.share is None, row.share or 0.0, row.item.pk))
    return rows[:ITEMS_SHOWN]
