"""Reads about how people read the question: groups, what was declared of them, suggestions."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from labeling import crowd_findings
from labeling.crowd_findings import Findings
from labeling.models import Annotation, Annotator, Dataset, Item, Suggesting, SuggestionShown
from labeling.queries.crowd import answers_in, classes_of


def measured(dataset: Dataset) -> Findings | None:
    """Return the last measuring that looked at readings."""
    found = crowd_findings.last(dataset.pk)
    return found if found and "pull" in found.facts else None


def declared(dataset: Dataset) -> dict[int, str]:
    """Return what was declared of each annotator (by id) of whom something is."""
    rows = Annotator.objects.filter(dataset=dataset).exclude(attribute="")
    return dict(rows.values_list("pk", "attribute"))


def declared_lines(dataset: Dataset) -> str:
    """Return everybody with what is declared of them, a line each, as a lead edits it."""
    rows = Annotator.objects.filter(dataset=dataset).select_related("user").order_by("pk")
    return "\n".join(f"{row}, {row.attribute}" for row in rows)


def suggested(dataset: Dataset) -> Iterator[tuple[bool, bool, int]]:
    """Yield of each answer whether a suggestion stood beside its item, whether it is the one
    suggested, and whose it is; where a round shows suggestions, some are withheld at random."""
    rows = answers_in(dataset).filter(
        suggestion__isnull=False,
        is_gold=False,
        round__suggesting=Suggesting.BEFORE,
        suggestion_shown__in=(SuggestionShown.BEFORE, SuggestionShown.WITHHELD),
    )
    columns = ("suggestion_shown", "suggestion", "label", "annotator")
    for shown, suggestion, label, annotator in rows.values_list(*columns).iterator():
        yield shown == SuggestionShown.BEFORE, suggestion == label, annotator


@dataclass(frozen=True)
class Group:
    """People who read the question in the same way."""

    name: str
    people: list[Annotator]


@dataclass(frozen=True)
class Apart:
    """An item that two groups read differently, with what each of them says and how often."""

    item: Item
    said: list[tuple[str, str]]


@dataclass(frozen=True)
class Readings:
    """Two groups and the items on which they part, of which the clearest are shown.

    `pairs` tells what A says where B says what, on how many items, the most first.
    """

    groups: list[Group]
    apart: list[Apart]
    total: int
    pairs: list[tuple[str, str, int]]


NAMES = ("A", "B")
APART_SHOWN = 12
PAIRS_SHOWN = 5


def readings_of(dataset: Dataset, found: Findings) -> Readings | None:
    """Return the groups who read the question differently; None where there are none."""
    if not found.facts.get("cohorts"):
        return None
    rows = Annotator.objects.filter(dataset=dataset).select_related("user")
    people = rows.in_bulk(found.arrays["people"].tolist())
    group = dict(zip(found.arrays["people"].tolist(), found.arrays["people_group"].tolist()))
    groups = [
        Group(name, sorted((p for pk, p in people.items() if group[pk] == each), key=str))
        for each, name in enumerate(NAMES)
    ]
    both = Counter(map(tuple, found.arrays["apart_answers"].tolist()))
    names = {c.pk: c.name for c in classes_of(dataset)}
    pairs = [
        (names[one], names[other], n)
        for (one, other), n in both.most_common(PAIRS_SHOWN)
        if one in names and other in names
    ]
    return Readings(groups, _apart(dataset, found, group), both.total(), pairs)


def _apart(dataset: Dataset, found: Findings, group: dict[int, int]) -> list[Apart]:
    ids = found.arrays["apart_items"][:APART_SHOWN].tolist()
    readings = found.arrays["apart_answers"][:APART_SHOWN].tolist()
    items = Item.objects.filter(dataset=dataset).select_related("content").in_bulk(ids)
    names = {c.pk: c.name for c in classes_of(dataset)}
    votes: dict[tuple[int, int], list[int | None]] = {}
    given = Annotation.objects.filter(pk__in=answers_in(dataset).filter(item__in=ids).values("pk"))
    for item, person, label in given.values_list("item", "annotator", "label"):
        votes.setdefault((item, group.get(person, -1)), []).append(label)
    return [
        Apart(
            items[pk],
            [
                (names.get(label, ""), _share(votes.get((pk, each), []), label))
                for each, label in enumerate(both)
            ],
        )
        for pk, both in zip(ids, readings)
        if pk in items
    ]


def _share(votes: list[int | None], label: int) -> str:
    return f"{votes.count(label)}/{len(votes)}"
