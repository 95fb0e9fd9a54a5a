"""People answer a random sample blind and stand beside the model in the same metric."""

import random

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import GoldItem, LabelChange, LabelClass, Role, Round, Split, Suggesting
from labeling.queries.success import choice_of
from labeling.services.annotations import annotator_for
from labeling.services.guidelines import use_as_example
from labeling.services.rounds import close_round
from quality.queries.blind import askable, blind_score, sizes
from quality.queries.facets import facets_of
from quality.services.blind import ask_blind
from quality.services.merging import merge_classes
from tests.factories import make_item, make_member
from tests.labeling.test_rounds import answer as say
from tests.quality.test_browse import shown
from tests.quality.test_run_page import make_run, page_of
from tests.quality.test_run_page import pets as _pets
from tests.quality.test_success import choose, rescore

pytestmark = pytest.mark.django_db
pets = _pets


@pytest.fixture
def asked(pets):
    """All four items asked blind: of the dogs one is called a cat, and nobody knows item 0."""
    ann = make_member(pets, Role.ANNOTATOR, "ann")
    made = ask_blind(dataset=pets, size=9, people=[ann], by=None, chance=random.Random(0))
    for key, said in (("0", "unsure"), ("1", "cat"), ("2", "cat"), ("3", "dog")):
        answer(made, key, said, user=ann)
    return made


def answer(asking, key, said, *, user):
    person = annotator_for(dataset=asking.dataset, user=user)
    say(asking, asking.dataset.items.get(key=key), person, said)


def test_a_sample_is_drawn_by_lot_from_labelled_items_whose_class_nobody_was_shown(pets):
    make_item(pets, "sealed", "cat", split=Split.TEST)
    make_item(pets, "bare")
    cat = pets.classes.get(name="cat")
    use_as_example(item=make_item(pets, "shown", "cat"), label=cat, is_right=True)
    GoldItem.objects.create(item=make_item(pets, "told", "cat"), label=cat)
    assert askable(pets).count() == 4
    made = [ask_blind(dataset=pets, size=2, people=[], by=None, chance=random.Random(seed))
            for seed in range(20)]  # fmt: skip
    drawn = [set(one.round_items.values_list("item__key", flat=True)) for one in made]
    assert {len(keys) for keys in drawn} == {2}
    assert set.union(*drawn) == {"0", "1", "2", "3"}
    assert {one.suggesting for one in made} == {Suggesting.OFF}


def test_blind_answers_give_no_labels_and_are_measured_by_the_labels_of_now(pets, asked):
    assert not LabelChange.objects.exists()
    found = blind_score(pets, None)
    assert (found.n, found.left_out, found.differ, found.people) == (3, 1, 1, ["ann"])
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert found.accuracy.low < 2 / 3 < found.accuracy.high
    assert found.url.endswith("?keys=2")
    pets.items.filter(key="2").update(label=pets.classes.get(name="cat"))
    assert blind_score(pets, None).accuracy.value == 1


def test_answers_that_name_a_merged_class_are_right_where_the_label_is_what_it_became(pets, asked):
    old, new = pets.classes.get(name="dog"), pets.classes.get(name="cat")
    LabelClass.objects.create(dataset=pets, name="bird")
    merge_classes(dataset=pets, old=old, new=new, text="", by=make_member(pets, Role.LEAD))
    assert blind_score(pets, None).accuracy.value == 1


def test_what_nobody_could_tell_blind_is_no_dispute_in_browse(pets, asked):
    assert asked.round_items.filter(state="disputed").count() == 1
    assert facets_of(shown(pets)).disputed == len(list(shown(pets, "disputed=1").items())) == 0


def test_a_round_that_still_waits_for_answers_tells_nothing_until_it_is_closed(pets):
    ann = make_member(pets, Role.ANNOTATOR, "ann")
    made = ask_blind(dataset=pets, size=4, people=[], by=None, chance=random.Random(0))
    answer(made, "1", "cat", user=ann)
    assert blind_score(pets, None) is None
    close_round(asking=made, now=timezone.now())
    assert blind_score(pets, None).n == 1


def test_an_item_that_was_left_out_meanwhile_holds_no_blind_score_up(pets):
    ann = make_member(pets, Role.ANNOTATOR, "ann")
    made = ask_blind(dataset=pets, size=4, people=[], by=None, chance=random.Random(0))
    for key in ("0", "1", "2"):
        answer(made, key, "cat", user=ann)
    assert blind_score(pets, None) is None
    pets.items.filter(key="3").update(excluded="copy of 2")
    assert blind_score(pets, None).n == 3


def test_people_stand_beside_the_model_in_the_chosen_metric(client, pets, asked):
    run = make_run(pets, "cddd")
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=6)
    rescore(pets)
    assert blind_score(pets, choice_of(pets)).figure.value == pytest.approx(6 / 3)
    page = page_of(client, run)
    assert page.count(">People, blind</span>") == 2  # chosen metric and accuracy
    assert "2.000" in page
    assert "1 differs from its label" in page
    report = client.get("/d/pets/report/").content.decode()
    assert "People, blind (3 items)" in report


def test_a_lead_asks_so_many_that_the_limits_are_narrow_enough(client, pets):
    address = reverse("quality:blind", args=["pets"])
    client.force_login(make_member(pets, Role.LEAD))
    shown = client.get(address).content.decode()
    for size in sizes(pets):
        assert f"{size.n} items tell to about" in shown
    assert client.post(address, {"size": 5}).status_code == 422
    sent = client.post(address, {"size": 3})
    made = Round.objects.get()
    assert sent.url == reverse("labeling:round", args=["pets", made.pk])
    assert made.round_items.count() == 3
    assert "People answer blind" in client.get(sent.url).content.decode()
