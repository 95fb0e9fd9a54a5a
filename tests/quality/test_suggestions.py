"""What the model thinks, for the rounds that show it and for no others."""

import pytest
from django.core.management import call_command
from django.utils import timezone

from labeling.models import Suggestion
from labeling.services.rounds import close_round
from labeling.services.suggestions import set_suggestions
from tests.factories import make_asking
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db


def ask(dataset, suggesting):
    items = list(dataset.items.values_list("pk", flat=True))
    return make_asking(dataset, items, name=suggesting, suggesting=suggesting)


def test_a_training_suggests_labels_when_a_round_shows_them_and_none_for_test_items():
    dataset = make_words(items=48, test_items=12, unlabelled=4)
    ask(dataset, "off")
    call_command("train", dataset.slug)
    assert not Suggestion.objects.exists()
    ask(dataset, "after")
    call_command("train", dataset.slug)  # nothing to train, but now somebody wants to know
    suggested = set(Suggestion.objects.values_list("item__key", flat=True))
    others = dataset.items.exclude(split="test")
    assert suggested == set(others.values_list("key", flat=True))
    right = sum(
        row.label_id == row.item.label_id
        for row in Suggestion.objects.filter(item__label__isnull=False).select_related("item")
    )
    assert right > 36  # of 48 with two classes or more: far from chance


def test_a_closed_round_asks_for_no_suggestions():
    dataset = make_words(items=24)
    close_round(asking=ask(dataset, "before"), now=timezone.now())
    call_command("train", dataset.slug)
    assert not Suggestion.objects.exists()


def test_new_suggestions_take_the_place_of_all_earlier_ones():
    dataset = make_words(items=3)
    first, second, third = dataset.items.order_by("key").values_list("key", flat=True)
    name = dataset.classes.first().name
    set_suggestions(dataset=dataset, suggestions={first: (name, 0.4), second: (name, 0.4)})
    kept = {second: (name, 0.9), third: (name, 0.8), "gone": (name, 1.0), first: ("no class", 1.0)}
    assert set_suggestions(dataset=dataset, suggestions=kept) == 2
    now = dict(Suggestion.objects.values_list("item__key", "probability"))
    assert now == {second: 0.9, third: 0.8}
