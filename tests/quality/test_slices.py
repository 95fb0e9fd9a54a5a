"""Where the model is worse is one question about the items there."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Role
from quality.doubts import CannotRunError
from quality.doubts.slices import find_worst_slices
from quality.models import Action, Flag, FlagState
from quality.queries.flags import open_flags
from quality.queries.survey import survey_of
from quality.services import decisions
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_flags import raise_doubts

pytestmark = pytest.mark.django_db


def make_wards():
    """A dataset whose ward `east` has many labels that a good model would not give."""
    dataset = make_dataset()
    rng = np.random.default_rng(4)
    told = []
    for number in range(150):
        ward = ("north", "south", "east")[number % 3]
        truth = int(rng.integers(2))
        is_flipped = ward == "east" and rng.random() < 0.4
        label = ("cat", "dog")[1 - truth if is_flipped else truth]
        make_item(dataset, f"{number:03}.png", label, metadata={"ward": ward})
        told.append([0.9, 0.1] if truth == 0 else [0.1, 0.9])
    survey = survey_of(dataset)
    survey.__dict__["probabilities"] = np.array(told)
    return dataset, survey


def test_a_bad_ward_is_asked_about_and_the_answer_can_be_taken_back(client):
    dataset, survey = make_wards()
    lead = make_member(dataset, Role.LEAD)
    raise_doubts(dataset, *find_worst_slices(survey), kind="slice")
    flag = Flag.objects.get(kind="slice")
    assert flag.flag_items.filter(role="part").count() == 50
    client.force_login(lead)
    page = client.get(reverse("quality:queue", args=[dataset.slug, "slice"])).content.decode()
    assert "column: ward is east" in page.casefold()
    assert "more such items are needed" in page
    assert '<kbd class="keycap">↵</kbd> <span class="clip">Ask people about these items' in page
    assert "model: cat" in page  # evidence: what it says of those labelled otherwise
    assert "50 items, 24 shown" in page
    assert "see 50 in Browse" in page
    browse = client.get(reverse("quality:browse", args=[dataset.slug]), {"doubt": flag.pk})
    assert "of one group in doubt" in browse.text
    assert browse.context["total"] == 50
    assert "</b> test item" not in page  # no check looks at them here
    gone = flag.flag_items.first().item
    gone.excluded = "blurred"
    gone.save()
    assert flag in open_flags(dataset, "slice")
    decision = decisions.decide_flag(flag=flag, reviewer=lead, action=Action.EXCLUDE)
    assert dataset.items.exclude(excluded="").count() == 50
    decisions.undo_decision(decision=decision, reviewer=lead)
    assert dataset.items.exclude(excluded="").count() == 1
    client.post(
        reverse("quality:decide", args=[dataset.slug, "slice", flag.pk]), {"action": "confirm"}
    )
    flag.refresh_from_db()
    assert flag.state == FlagState.DECIDED


def test_without_a_run_it_says_what_is_needed():
    with pytest.raises(CannotRunError):
        find_worst_slices(survey_of(make_dataset()))
