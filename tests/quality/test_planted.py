"""What the benches plant: a small dataset has all that a large one has, in proportion."""

from pathlib import Path
from typing import Any

import pytest

from bench import large
from labeling.queries.versions import counts_between
from quality.models import Flag

pytestmark = pytest.mark.django_db


def test_a_small_dataset_is_planted_in_the_proportions_of_a_large_one(
    settings: Any, tmp_path: Path
):
    settings.MEDIA_ROOT, settings.DATA_DIR = tmp_path / "media", tmp_path
    dataset = large.plant(items=large.LEAST_ITEMS, flags=40)
    flags = Flag.objects.filter(dataset=dataset, state="open")
    assert flags.count() == 40
    assert {*large.KINDS, "outlier"} == set(flags.values_list("kind", flat=True))
    first, second, third = dataset.versions.order_by("number")
    for before, after in ((first, second), (second, third)):
        assert 0 < counts_between(before, after).total <= large.CHANGED * large.LEAST_ITEMS
    assert dataset.runs.count() == 1
    assert dataset.decisions.exists()
