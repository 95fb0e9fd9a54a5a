"""A picture unlike the rest waits in its queue with value, usual value and limit."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Content, Dataset, Role
from quality.doubts.images import find_odd_pictures, say_what_is_usual
from quality.models import Flag
from quality.queries.survey import survey_of
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_flags import raise_doubts

pytestmark = pytest.mark.django_db


def make_photos() -> Dataset:
    """Forty photos; 07 is blurry, 08 dark, 09 of one colour, as import noted."""
    dataset = make_dataset()
    rng = np.random.default_rng(3)
    for number in range(40):
        facts = {
            "width": 256, "height": 192, "luma_low": 30 + number, "luma_high": 200 + number,
            "contrast": 50.0, "entropy": 7.0 + 0.01 * number, "even_share": 0.05,
            "edge_width": float(1.3 * rng.uniform(0.8, 1.3)), "frame_share": 0.0,
            "colourfulness": 40.0, "brightness": 100.0 + number,
        }  # fmt: skip
        facts |= {7: {"edge_width": 8.0}, 8: {"luma_high": 20}, 9: {"luma_high": 1}}.get(number, {})
        odd = [["blank", "Nothing is to be seen."]] if number == 9 else []
        item = make_item(dataset, f"{number:02}.jpg", "cat", odd=odd)
        Content.objects.filter(pk=item.content_id).update(facts=facts)
    return dataset


def test_odd_pictures_are_asked_about_with_value_and_limit_and_left_out(client):
    dataset = make_photos()
    survey = survey_of(dataset)
    doubts = list(find_odd_pictures(survey))
    told = {survey.keys[doubt.rows[0]]: doubt.evidence["codes"] for doubt in doubts}
    assert told == {"07.jpg": ["blurry"], "08.jpg": ["dark"]}
    assert all(doubt.is_likely for doubt in doubts)
    raise_doubts(dataset, *doubts, kind="odd_image")
    flag = Flag.objects.get(items__key="08.jpg")
    assert "stay at 20 of 255" in flag.reason
    assert "usual here: 220; odd from 84 down" in flag.reason
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("quality:queue", args=[dataset.slug, "odd_image"])).content.decode()
    assert "Odd pictures" in page
    decide = reverse("quality:decide", args=[dataset.slug, "odd_image", flag.pk])
    client.post(decide, {"action": "exclude"})
    assert dataset.items.get(key="08.jpg").excluded


def test_items_measured_before_the_properties_existed_are_not_judged():
    dataset = make_photos()
    Content.objects.update(facts={"width": 256, "height": 192})
    assert not list(find_odd_pictures(survey_of(dataset)))


def test_what_most_pictures_share_is_said_once_and_of_none():
    dataset = make_photos()
    assert say_what_is_usual(survey_of(dataset)) == ""
    for place, content in enumerate(Content.objects.all()):
        content.facts |= {"luma_high": 60 + place % 9}
        content.save()
    survey = survey_of(dataset)
    assert "asked about picture by picture: dark (100 %)" in say_what_is_usual(survey)
    assert all("dark" not in doubt.evidence["codes"] for doubt in find_odd_pictures(survey))
