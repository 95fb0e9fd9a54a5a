"""An item far from all others waits in the queue of outliers with its neighbours."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Role
from mlcore.neighbours import nearest
from quality.doubts import CannotRunError
from quality.doubts.outliers import find_far_out
from quality.models import Flag
from quality.queries.survey import survey_of
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_flags import raise_doubts

pytestmark = pytest.mark.django_db


def test_a_foreign_item_is_asked_about_with_its_neighbours_and_left_out(client):
    dataset = make_dataset()
    for number in range(80):
        make_item(dataset, f"{number:03}.png", ("cat", "dog")[number % 2])
    vectors = np.random.default_rng(2).normal(size=(80, 8)) + 3.0
    vectors[33] = -3.0
    survey = survey_of(dataset)
    survey.__dict__["graph"] = nearest(vectors)
    doubts = list(find_far_out(survey))
    assert doubts[0].rows == (33,)
    assert doubts[0].is_likely
    raise_doubts(dataset, *doubts, kind="outlier")
    flag = Flag.objects.get(kind="outlier", is_likely=True)
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("quality:queue", args=[dataset.slug, "outlier"])).content.decode()
    assert "times as far away" in page
    assert "8 nearest" in page
    client.post(
        reverse("quality:decide", args=[dataset.slug, "outlier", flag.pk]), {"action": "exclude"}
    )
    assert dataset.items.get(key="033.png").excluded


def test_without_vectors_it_says_what_is_needed():
    with pytest.raises(CannotRunError):
        find_far_out(survey_of(make_dataset()))
