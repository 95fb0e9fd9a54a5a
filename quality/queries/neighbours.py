"""The neighbours of items, from the graph that the last training or check left behind."""

from collections.abc import Sequence

from labeling.models import Dataset, Item
from quality.graphs import newest_graph

MOST_SHOWN = 120  # one page


def more_like(dataset: Dataset, items: Sequence[int]) -> list[int]:
    """Return ids of items near to any of these (by id), themselves first, then the nearest."""
    known = newest_graph(dataset.pk)
    chosen = dict(Item.objects.filter(dataset=dataset, pk__in=items).values_list("pk", "content"))
    own = [pk for pk in items if pk in chosen]
    if known is None:
        return own
    _, hashes, graph = known
    wanted = {chosen[pk] for pk in own}
    rows = [row for row, sha256 in enumerate(hashes) if sha256 in wanted]
    scores: dict[int, float] = {}
    for row in rows:
        near = zip(graph.indices[row].tolist(), graph.similarities[row].tolist(), strict=True)
        for other, similarity in near:
            scores[other] = max(scores.get(other, -1.0), similarity)
    best = sorted(scores, key=lambda row: (-scores[row], row))
    return [*own, *_items_with(dataset, [hashes[row] for row in best], without=own)][:MOST_SHOWN]


def nearest_items(dataset: Dataset, item: Item, *, count: int) -> list[tuple[Item, float]]:
    """Return the items nearest to one, with their cosine, nearest first; of copies the first."""
    known = newest_graph(dataset.pk)
    if known is None or item.content_id not in known[1]:
        return []
    _, hashes, graph = known
    row = hashes.index(item.content_id)
    near = [hashes[other] for other in graph.indices[row].tolist()]
    similarity = dict(zip(near, graph.similarities[row].tolist(), strict=True))
    found = Item.objects.filter(dataset=dataset, content__in=near, excluded="")
    by_content: dict[str, Item] = {}
    for other in found.select_related("content", "label").order_by("-pk"):
        by_content[other.content_id] = other
    shown = [sha256 for sha256 in near if sha256 in by_content][:count]
    return [(by_content[sha256], similarity[sha256]) for sha256 in shown]


def _items_with(dataset: Dataset, hashes: Sequence[str], *, without: Sequence[int]) -> list[int]:
    place = {sha256: position for position, sha256 in enumerate(hashes)}
    found = (
        Item.objects.filter(dataset=dataset, content__in=hashes[: 4 * MOST_SHOWN], excluded="")
        .exclude(pk__in=without)
        .values_list("content", "pk")
    )
    return [pk for _, pk in sorted((place[sha256], pk) for sha256, pk in found)]
