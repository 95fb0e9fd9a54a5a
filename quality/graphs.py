"""The neighbour graph of a dataset: one file beside the features, read by every check.

Rows of the graph are distinct contents; the file names them, so that it is used only for
what it was built for.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from labeling import shards
from mlcore.neighbours import NeighbourGraph

HASHES_KEPT = 1  # dataset; 12 MB and a quarter of a page to read at 100,000 items


def save_graph(
    dataset_id: int, graph: NeighbourGraph, *, backbone: str, hashes: Sequence[str]
) -> None:
    """Keep the graph over these contents; the dataset's earlier graph goes."""
    folder = _folder(backbone)
    folder.mkdir(parents=True, exist_ok=True)
    name = _name(dataset_id, hashes)
    part = folder / f".{name}.part"
    graph.save(part)
    part.replace(folder / f"{name}.npz")
    shards.save_text(folder / f"{name}.rows", json.dumps(list(hashes)))
    for old in folder.glob(f"{dataset_id}-*"):
        if old.stem != name:
            old.unlink(missing_ok=True)


def remove_graphs(dataset_id: int) -> None:
    """Remove what was built for a dataset."""
    folder = shards.features_folder("any").parent
    for path in folder.glob(f"*/graphs/{dataset_id}-*"):
        path.unlink(missing_ok=True)


def load_graph(dataset_id: int, *, backbone: str, hashes: Sequence[str]) -> NeighbourGraph | None:
    """Return the graph over exactly these contents in this order, if it was built."""
    path = _folder(backbone) / f"{_name(dataset_id, hashes)}.npz"
    is_whole = path.exists() and path.with_suffix(".rows").exists()  # written last
    return NeighbourGraph.load(path) if is_whole else None


def newest_graph(
    dataset_id: int, *, backbone: str = "*"
) -> tuple[str, Sequence[str], NeighbourGraph] | None:
    """Return backbone, content hash of each row and graph as last built for a dataset."""
    try:
        listings = _listings(dataset_id, backbone)
        rows = max(listings, key=lambda path: path.stat().st_mtime, default=None)
        if rows is None:
            return None
        graph = NeighbourGraph.load(rows.with_suffix(".npz"))
        return rows.parent.parent.name, _hashes_in(rows), graph
    except FileNotFoundError:  # a check has just put a newer one in its place
        return None


@lru_cache(maxsize=HASHES_KEPT)
def _hashes_in(rows: Path) -> tuple[str, ...]:
    """Return the hashes of a graph's rows; its name holds their digest, so they stay the same."""
    return tuple(json.loads(rows.read_text()))


def has_graph(dataset_id: int) -> bool:
    """Tell whether a graph was built for a dataset, without reading it."""
    return bool(_listings(dataset_id))


def _listings(dataset_id: int, backbone: str = "*") -> list[Path]:
    return list(shards.features_folder("any").parent.glob(f"{backbone}/graphs/{dataset_id}-*.rows"))


def _folder(backbone: str) -> Path:
    return shards.features_folder(backbone) / "graphs"


def _name(dataset_id: int, hashes: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]
    return f"{dataset_id}-{digest}"
