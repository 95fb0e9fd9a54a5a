"""The neighbour graph on the disk: whole or not there, whatever happens meanwhile."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.neighbours import nearest
from quality import arrays, graphs

HASHES = ["a", "b", "c"]


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def keep() -> Path:
    graphs.save_graph(1, nearest(np.eye(3)), backbone="pixels", hashes=HASHES)
    (rows,) = (arrays.features_folder("pixels") / "graphs").glob("*.rows")
    return rows


def test_a_graph_is_found_again_by_its_contents() -> None:
    keep()
    found = graphs.newest_graph(1)
    assert found
    assert found[:2] == ("pixels", HASHES)
    assert graphs.load_graph(1, backbone="pixels", hashes=HASHES[:2]) is None


def test_a_graph_whose_listing_was_lost_is_built_again() -> None:
    keep().unlink()
    assert graphs.load_graph(1, backbone="pixels", hashes=HASHES) is None


def test_a_graph_that_is_replaced_while_it_is_read_is_none_for_now() -> None:
    keep().with_suffix(".npz").unlink()
    assert graphs.newest_graph(1) is None
