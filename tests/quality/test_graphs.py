"""The neighbour graph on the disk: whole or not there, whatever happens meanwhile."""

from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from PIL import Image

from labeling import shards
from labeling.services import jobs
from mlcore.files import sha256_of
from mlcore.images import small_grey
from mlcore.neighbours import NeighbourGraph, nearest
from quality import arrays, graphs
from quality.queries.survey import survey_of
from quality.services.graph import complete
from tests.quality.words import add_text, make_words

HASHES = ["a", "b", "c"]


def keep() -> Path:
    graphs.save_graph(1, nearest(np.eye(3)), backbone="pixels", hashes=HASHES)
    (rows,) = (shards.features_folder("pixels") / "graphs").glob("*.rows")
    return rows


def test_a_graph_is_found_again_by_its_contents() -> None:
    keep()
    found = graphs.newest_graph(1)
    assert found
    assert found[:2] == ("pixels", tuple(HASHES))
    assert graphs.load_graph(1, backbone="pixels", hashes=HASHES[:2]) is None


def test_a_graph_whose_listing_was_lost_is_built_again() -> None:
    keep().unlink()
    assert graphs.load_graph(1, backbone="pixels", hashes=HASHES) is None


def test_a_graph_that_is_replaced_while_it_is_read_is_none_for_now() -> None:
    keep().with_suffix(".npz").unlink()
    assert graphs.newest_graph(1) is None


@pytest.mark.django_db
def test_new_items_are_put_into_the_graph_that_is_there() -> None:
    dataset = make_words(items=30)
    work = jobs.Work(jobs.claim(jobs.open_job(kind="detect", dataset=dataset).pk))
    complete(work, survey_of(dataset), run=None)
    backbone, hashes, graph = graphs.newest_graph(dataset.pk)
    told = NeighbourGraph(graph.indices, np.full_like(graph.similarities, 0.999))
    graphs.save_graph(dataset.pk, told, backbone=backbone, hashes=hashes)
    add_text(dataset, "new", text="a price with every coin, near some loan", label="money")
    survey = complete(work, survey_of(dataset), run=None)
    assert (np.sort(survey.graph.similarities, axis=1)[:, -19:] == np.float32(0.999)).sum() == 570
    new = survey.graph.indices[-1]
    assert len(set(new.tolist()) - {30}) == len(new)
    assert survey.graph.similarities[-1, 0] < 0.999


@pytest.mark.django_db
def test_an_import_keeps_the_small_pictures_that_checks_compare(tmp_path: Path) -> None:
    shown: dict[str, bytes] = {}
    for turn in range(3):
        picture = Image.radial_gradient("L").resize((300, 200)).rotate(30 * turn).convert("RGB")
        picture.save(tmp_path / f"{turn}.jpg", quality=90)
        content = (tmp_path / f"{turn}.jpg").read_bytes()
        shown[sha256_of(content)] = small_grey(content)
    call_command("import_dataset", "pets", str(tmp_path))
    assert set(arrays.known_contents(shards.SMALL_GREY)) == set(shown)
    kept = arrays.load_features(shards.SMALL_GREY, list(shown))
    assert kept.astype(np.uint8).tobytes() == b"".join(shown.values())
