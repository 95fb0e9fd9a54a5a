"""After a training, open rounds that learn ask what teaches most first."""

import pytest
from django.core.management import call_command

from labeling.models import Item, Suggestion
from tests.factories import make_asking
from tests.labeling.test_rounds import answer, claim, make_annotator
from tests.quality.words import SPOKEN, add_text, make_words

pytestmark = pytest.mark.django_db


def ask(dataset, *, which, wanted=3):
    items = list(dataset.items.filter(**which).order_by("key").values_list("pk", flat=True))
    return make_asking(dataset, items, answers_wanted=wanted, order="learning")


def free(asking, **which):
    rows = asking.round_items.filter(state="open", **which).order_by("position")
    return list(rows.values_list("item__key", flat=True))


def test_what_the_model_cannot_tell_comes_before_what_it_knows_and_test_items_come_last():
    dataset = make_words(items=60, unlabelled=30)
    for number in range(10):
        words = " ".join(SPOKEN[name][(number + step) % 6] for step, name in enumerate(SPOKEN))
        add_text(dataset, f"unclear{number}", text=f"{words} {number}", label=None)
    add_text(dataset, "sealed", text="coin cloud tide", label=None, split="test")
    asking = ask(dataset, which={"label__isnull": True})
    assert asking.round_items.filter(is_random=True).count() == 5
    call_command("train", dataset.slug)
    ordered = free(asking, is_random=False)
    assert len(ordered) == 36
    asking.refresh_from_db()
    assert (asking.ordered_by, asking.ordered_items) == (dataset.runs.get().number, 41)
    places = [ordered.index(key) for key in ordered if key.startswith("unclear")]
    others = [ordered.index(key) for key in ordered if key.startswith("00")]
    assert sum(places) / len(places) < sum(others) / len(others)
    if "sealed" in ordered:  # unless the lot fell on it
        assert ordered[-1] == "sealed"
    everything = free(asking)
    drawn = set(free(asking, is_random=True))
    assert [everything.index(key) % 10 for key in everything[:31] if key in drawn][:3] == [0] * 3
    assert Suggestion.objects.filter(item__label__isnull=True).exists()


def test_a_label_that_model_and_words_contradict_is_asked_about_again_and_first():
    dataset = make_words(items=60, unlabelled=20)
    for number in range(4):  # about money and nothing else: no model takes them for the sea
        words = " ".join(SPOKEN["money"][number:] + SPOKEN["money"][:number])
        add_text(dataset, f"plain{number}", text=words, label=None, split="train")
    asking = ask(dataset, which={"label__isnull": True})
    person = make_annotator(asking)
    truth = {
        row.pk: "money" if row.key.startswith("plain") else list(SPOKEN)[int(row.key) % 3]
        for row in dataset.items.all()
    }
    plain = asking.round_items.filter(is_random=False, item__key__startswith="plain")
    wrong = plain.order_by("pk").first().item
    for place in list(asking.round_items.all()):
        said = truth[place.item_id]
        answer(asking, place.item, person, said if place.item_id != wrong.pk else "sky"
               if said != "sky" else "sea")  # fmt: skip
    assert free(asking) == []
    call_command("train", dataset.slug)
    asked = free(asking)
    assert asked[0] == wrong.key
    assert len(asked) < 10  # most labels are believed and left alone
    other = make_annotator(asking)
    assert claim(asking, other, 1) == [wrong]
    label = Item.objects.get(pk=wrong.pk).label
    assert label is not None  # it stands until the answers say otherwise
