"""What the newest run brings to open rounds: suggestions, and which items teach the model most."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.utils import timezone

from labeling.models import (
    Dataset,
    Item,
    LabelSource,
    Round,
    RoundItem,
    RoundItemState,
    RoundOrder,
    Split,
    Suggesting,
)
from labeling.queries.crowd import said_in
from labeling.queries.gold import known_labels
from labeling.services.jobs import Work
from labeling.services.learning import ask_again, set_order
from labeling.services.suggestions import set_suggestions
from mlcore import active
from quality import arrays
from quality.graphs import newest_graph
from quality.models import Run
from quality.services.heads import predict_rows
from quality.services.material import read_material


def refresh_suggestions(work: Work, run: Run) -> int:
    """Push the run's first class of each item, and the order to ask in, if open rounds want it.

    Labelled items have their out-of-sample probabilities, the others those of a final head.
    Test items stay sealed and get none; a run without a signal suggests nothing and takes earlier
    suggestions back. Returns how many items have one.
    """
    open_rounds = Round.objects.filter(dataset=run.dataset, closed_at__isnull=True)
    learning = list(open_rounds.filter(order=RoundOrder.LEARNING))
    if not learning and not open_rounds.exclude(suggesting=Suggesting.OFF).exists():
        return 0
    material = read_material(run.version)
    known = arrays.run_array(run, "probabilities")
    probabilities = np.full((len(material.keys), len(run.classes)), np.nan, dtype=np.float32)
    if known is not None:
        probabilities[:] = known
    fresh = (material.labels < 0) & ~material.is_test
    if fresh.any():
        work.progress(message="Predicting what has no label, for the open rounds", now=True)
        found = predict_rows(work, run, learned=material, of=material, rows=fresh)
        probabilities[fresh] = found[fresh]
    sure = np.flatnonzero(~np.isnan(probabilities).any(axis=1))
    best = probabilities[sure].argmax(axis=1)
    suggestions = {
        material.keys[row]: (run.classes[place], float(probabilities[row, place]))
        for row, place in zip(sure, best, strict=True)
    }
    kept = set_suggestions(dataset=run.dataset, suggestions=suggestions if run.has_signal else {})
    if learning:
        work.progress(message="Putting the open rounds in order", now=True)
        pool = read_pool(run, keys=material.keys, probabilities=probabilities)
        for asking in learning:
            order_round(asking, pool, run=run, now=timezone.now())
    return kept


@dataclass(frozen=True)
class Pool:
    """The items of a dataset, one entry each, and what is believed of them."""

    row_of: dict[int, int]
    worth: np.ndarray
    is_doubted: np.ndarray
    neighbours: np.ndarray
    similarities: np.ndarray


def read_pool(run: Run, *, keys: list[str], probabilities: np.ndarray) -> Pool:
    """Join what the run predicts (one row a key) with what people said.

    Test items teach nothing; what the run could not see is unknown. Both come last.
    """
    dataset = run.dataset
    rows = list(
        Item.objects.filter(dataset=dataset, excluded="")
        .order_by("pk")
        .values_list("pk", "key", "content_id", "split", "label__name", "label_source")
    )
    row_of = {row[0]: place for place, row in enumerate(rows)}
    line_of = {key: line for line, key in enumerate(keys)}
    lines = np.array([line_of.get(row[1], -1) for row in rows], np.int64)
    predicted = np.full((len(rows), len(run.classes)), np.nan)
    predicted[lines >= 0] = probabilities[lines[lines >= 0]]
    class_of = {name: place for place, name in enumerate(run.classes)}
    labels = np.array([class_of.get(row[4] or "", -1) for row in rows], np.int64)
    posterior = _posterior(dataset, row_of, class_of=class_of, predicted=predicted)
    values = active.worth(posterior, labels)
    is_test = np.array([row[3] == Split.TEST for row in rows], bool)
    values[is_test] = np.nan
    by_people = np.array([row[5] == LabelSource.CONSENSUS for row in rows], bool)
    neighbours, similarities = _graph_over(dataset, [row[2] for row in rows])
    return Pool(
        row_of=row_of,
        worth=values,
        is_doubted=active.doubted(posterior, labels) & by_people & ~is_test,
        neighbours=neighbours,
        similarities=similarities,
    )


def order_round(asking: Round, pool: Pool, *, run: Run, now: datetime) -> None:
    """Ask what teaches most first: new items, and labels that a further answer may change."""
    places = list(
        RoundItem.objects.filter(round=asking, item__excluded="")
        .exclude(state=RoundItemState.GOLD)
        .order_by("position")
        .values_list("pk", "item_id", "state", "taken", "is_random")
    )
    known = [place for place in places if place[1] in pool.row_of]
    again = [pk for pk, item, state, *_ in known if state == RoundItemState.SETTLED
             and pool.is_doubted[pool.row_of[item]]]  # fmt: skip
    opened = set() if asking.confident else set(ask_again(asking=asking, places=again))
    waiting = [place for place in known if place[0] in opened or place[2] == RoundItemState.OPEN]
    drawn = [pk for pk, _, _, taken, is_random in waiting if is_random and not taken]
    chance = set(drawn)
    others = [place for place in waiting if place[0] not in chance]
    ordered = _ordered(pool, [place[1] for place in others], [not place[3] for place in others])
    by_worth = [others[position][0] for position in ordered]
    places_in_order = active.with_random(by_worth, drawn)
    set_order(asking=asking, places=places_in_order, run=run.number, now=now)


def _ordered(pool: Pool, items: list[int], is_new: list[bool]) -> list[int]:
    """Return positions in `items` (by id), first to ask first; the unknown keep their order."""
    rows = np.array([pool.row_of[item] for item in items], np.int64)
    position_of = np.full(len(pool.worth) + 1, -1)  # one more: -1 is no neighbour
    position_of[rows] = np.arange(len(rows))
    found = active.learning_order(
        pool.worth[rows],
        is_new=np.array(is_new, bool),
        neighbours=position_of[pool.neighbours[rows]],
        similarities=pool.similarities[rows],
    )
    return [int(position) for position in found]


def _posterior(
    dataset: Dataset,
    row_of: dict[int, int],
    *,
    class_of: dict[str, int],
    predicted: np.ndarray,
) -> np.ndarray:
    """Return P(class) of each item from model and people; NaN where neither says anything."""
    from mlcore.consensus import aggregate

    names = dict(dataset.classes.values_list("pk", "name"))
    place = {pk: class_of[name] for pk, name in names.items() if name in class_of}
    said = np.array(
        [
            (row_of[item], person, place[label])
            for item, person, label in said_in(dataset)
            if item in row_of and label in place
        ],
        np.int64,
    ).reshape(-1, 3)
    if not len(said):
        return predicted
    is_silent = np.isnan(predicted).any(axis=1)
    n_items, n_classes = predicted.shape
    gold = np.full(n_items, -1)
    for item, label in known_labels(dataset).items():
        if item in row_of and label in place:
            gold[row_of[item]] = place[label]
    people = np.unique(said[:, 1], return_inverse=True)[1]
    agreed = aggregate(
        said[:, 0],
        people,
        said[:, 2],
        n_classes=n_classes,
        n_items=n_items,
        probabilities=np.where(is_silent[:, None], 1.0 / n_classes, predicted),
        gold=gold,
        method=active.METHOD,
    )
    nobody = np.ones(n_items, bool)
    nobody[said[:, 0]] = False
    return np.where((is_silent & nobody)[:, None], np.nan, agreed.posterior)


def _graph_over(dataset: Dataset, contents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the newest neighbour graph over items, by the content of each; -1 is no neighbour.

    A neighbouring content stands for its first item.
    """
    found = newest_graph(dataset.pk)
    if found is None or not contents:
        return np.empty((len(contents), 0), np.int64), np.empty((len(contents), 0))
    _, hashes, graph = found
    first: dict[str, int] = {}
    for row, sha256 in enumerate(contents):
        first.setdefault(sha256, row)
    item_of = np.array([first.get(sha256, -1) for sha256 in hashes], np.int64)
    line_of = {sha256: line for line, sha256 in enumerate(hashes)}
    lines = np.array([line_of.get(sha256, -1) for sha256 in contents], np.int64)
    near = np.where(lines[:, None] >= 0, item_of[graph.indices[lines]], -1)
    return near, graph.similarities[lines]
