"""Who reads the question differently, and how far suggestions pull: found by the crowd's job."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.db import transaction

from labeling.models import Annotator, Dataset
from labeling.queries import readings as queries
from mlcore.cohorts import LEAST_PEOPLE, Cohorts, attribute_effect, cohorts
from mlcore.suggestion_pull import suggestion_pull

MOST_ANSWERS = 50_000  # to the items with most of them; 39 crowds like it are searched (2 CPU-s)
MOST_APART = 60  # items that groups read differently; the clearest come first
LEAST_SHOWN = 50  # answers with and without a suggestion, before its pull is told

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


@transaction.atomic
def declare(*, dataset: Dataset, name: str, people: Mapping[int, str]) -> None:
    """Keep what is declared of annotators (by id); an empty value is unknown."""
    Dataset.objects.filter(pk=dataset.pk).update(attribute=name)
    rows = Annotator.objects.filter(dataset=dataset).in_bulk(people)
    for pk, row in rows.items():
        row.attribute = people[pk]
    Annotator.objects.bulk_update(rows.values(), ["attribute"], batch_size=200)


def find_readings(
    dataset: Dataset,
    said: Triple,
    *,
    items: np.ndarray,
    people: np.ndarray,
    classes: np.ndarray,
    rng: np.random.Generator,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return facts and arrays about groups, a declared attribute and the pull of suggestions.

    `said` holds items, people and classes counted from 0; the others are their ids.
    """
    compared = _compared(said)
    groups = cohorts(*compared, n_classes=len(classes), rng=rng) if len(compared[0]) else None
    facts = {
        "cohorts": None
        if groups is None
        else {"sizes": [int((groups.group == each).sum()) for each in (0, 1)]},
        "enough_people": len(np.unique(compared[1])) >= LEAST_PEOPLE,
        "attribute": _attribute(dataset, compared, people, len(classes), rng),
        "pull": _pull(dataset),
    }
    return facts, _arrays(groups, items, people, classes)


def _compared(said: Triple) -> Triple:
    """Return the answers to items that several people answered, of most answers first."""
    counts = np.bincount(said[0], minlength=1)
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 1]
    kept = np.zeros(len(counts), bool)
    kept[order[np.cumsum(counts[order]) <= MOST_ANSWERS]] = True
    rows = kept[said[0]]
    return said[0][rows], said[1][rows], said[2][rows]


def _arrays(
    groups: Cohorts | None, items: np.ndarray, people: np.ndarray, classes: np.ndarray
) -> dict[str, np.ndarray]:
    group = np.full(len(people), -1)
    if groups is None:
        return {
            "people_group": group,
            "apart_items": np.zeros(0, np.int64),
            "apart_answers": np.zeros((0, 2), np.int64),
        }
    group[: len(groups.group)] = groups.group
    return {
        "people_group": group,
        "apart_items": items[groups.items[:MOST_APART]],
        "apart_answers": classes[groups.answers[:MOST_APART]],
    }


def _attribute(
    dataset: Dataset, said: Triple, people: np.ndarray, n_classes: int, rng: np.random.Generator
) -> dict[str, Any] | None:
    """Return the test of what was declared of people; None where nothing is."""
    declared = queries.declared(dataset)
    values = sorted(set(declared.values()))
    if not dataset.attribute or not values:
        return None
    code = np.array(
        [values.index(declared[pk]) if pk in declared else -1 for pk in people.tolist()]
    )
    chance = None
    if len(said[0]):
        chance = attribute_effect(*said, code, n_classes=n_classes, rng=rng)
    counts = {value: int((code == place).sum()) for place, value in enumerate(values)}
    return {"name": dataset.attribute, "by_chance": chance, "counts": counts}


def _pull(dataset: Dataset) -> dict[str, Any]:
    """Return how far suggestions pull, and the answers with and without one shown."""
    rows = np.array(list(queries.suggested(dataset)), np.int64).reshape(-1, 3)
    shown = rows[:, 0].astype(bool)
    counts = {"shown": int(shown.sum()), "hidden": int((~shown).sum()), "least": LEAST_SHOWN}
    if min(counts["shown"], counts["hidden"]) < LEAST_SHOWN:
        return counts
    found = suggestion_pull(shown, rows[:, 1].astype(bool), rows[:, 2])
    if found is None:
        return counts
    people = len(np.unique(rows[:, 2]))
    limits = {"value": found.value, "low": found.low, "high": found.high}
    return counts | limits | {"people": people}
