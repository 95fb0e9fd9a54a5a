"""Splits that don't represent each other are one question a pair."""

import pytest
from django.urls import reverse

from labeling.models import Role
from quality.doubts.shifts import find_shifted_splits
from quality.models import Flag, FlagState
from quality.queries.flags import open_flags
from quality.queries.survey import survey_of
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_flags import raise_doubts

pytestmark = pytest.mark.django_db


def make_cut(*, is_sorted: bool):
    """A dataset whose file was cut at two thirds, sorted by class or not."""
    dataset = make_dataset()
    for number in range(120):
        label = ("cat", "dog")[number >= 60 if is_sorted else number % 2]
        split = "train" if number < 80 else "test"
        make_item(dataset, f"{number:03}.png", label, split=split)
    return dataset


def test_a_sorted_file_that_was_cut_is_asked_about_once_and_confirmed(client):
    dataset = make_cut(is_sorted=True)
    raise_doubts(dataset, *find_shifted_splits(survey_of(dataset)), kind="split_shift")
    flag = Flag.objects.get(kind="split_shift")
    assert "“dog” is 100 % of test and 25 % of train" in flag.reason
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("quality:queue", args=[dataset.slug, "split_shift"]))
    assert "ypical of test" in page.content.decode()
    assert "divide anew" in page.content.decode()
    address = reverse("quality:decide", args=[dataset.slug, "split_shift", flag.pk])
    assert "</b> test item" not in page.text  # the examples; no decision here changes one
    done = client.post(address, {"action": "confirm"}, follow=True)
    flag.refresh_from_db()
    assert flag.state == FlagState.DECIDED
    end = done.text.partition('id="flag"')[2]
    assert f'href="{reverse("quality:splits", args=[dataset.slug])}"' in end
    assert "data-put-off hidden" in end  # nothing was
    client.post(reverse("quality:undo", args=[dataset.slug, "split_shift"]))
    assert open_flags(dataset, "split_shift").count() == 1


def test_a_file_in_no_order_is_not_asked_about():
    assert not find_shifted_splits(survey_of(make_cut(is_sorted=False)))
