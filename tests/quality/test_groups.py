"""Doubts about groups: a column that gives a class away, a class that is really two."""

from dataclasses import replace

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Role
from labeling.services.guidelines import publish_guideline
from mlcore.neighbours import nearest
from quality.doubts.classes import columns_of, find_double_classes, find_shortcut_columns
from quality.models import Action, Flag, FlagItem, FlagState
from quality.queries.flags import flag_rows, open_flags
from quality.queries.review import evidence_of
from quality.queries.survey import survey_of
from quality.services import decisions
from quality.services.choices import choices_for
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_flags import raise_doubts

pytestmark = pytest.mark.django_db

EACH = 40


def make_wards(*, tied: bool):
    """A dataset whose column `ward` tells the class of nearly every item, or nothing."""
    dataset = make_dataset()
    rng = np.random.default_rng(3)
    for number in range(2 * EACH):
        label = ("cat", "dog")[number % 2]
        side = number % 2 if tied and rng.random() < 0.9 else int(rng.integers(2))
        ward = ("north", "south")[side]
        make_item(dataset, f"{number:03}.png", label, metadata={"ward": ward})
    return dataset


def flag_of(dataset, kind, doubts):
    raise_doubts(dataset, *doubts, kind=kind)
    return Flag.objects.get(dataset=dataset, kind=kind)


def test_a_column_that_gives_the_class_away_is_one_question_with_examples():
    dataset = make_wards(tied=True)
    (doubt,) = find_shortcut_columns(survey_of(dataset))
    assert doubt.evidence["column"] == "column: ward"
    assert set(doubt.roles) == {"example"}
    assert doubt.evidence["by_value"][0][0] in ("north", "south")


def test_a_column_that_tells_nothing_is_not_asked_about():
    assert not find_shortcut_columns(survey_of(make_wards(tied=False)))


def test_files_named_after_their_class_are_no_shortcut():
    dataset = make_dataset()
    for number in range(2 * EACH):
        label = ("cat", "dog")[number % 2]
        make_item(dataset, f"{label}/{label}_{number}.png", label)
    survey = survey_of(dataset)
    assert set(columns_of(survey)["name: first letters"]) == {"cat", "dog"}
    assert not find_shortcut_columns(survey)


@pytest.mark.parametrize(("media", "has_border"), [("image", True), ("audio", False)])
def test_columns_of_files_are_named_in_words_and_only_pictures_have_a_border(media, has_border):
    dataset = make_dataset(media=media)
    make_item(dataset, "a", "cat")
    survey = replace(survey_of(dataset), thumbnails=np.zeros((1, 32 * 32), np.float32))
    names = set(columns_of(survey))
    assert ("file: spread of the border" in names) == has_border
    assert not [name for name in names if "_" in name]


def test_the_length_of_a_text_is_part_of_what_it_says():
    dataset = make_dataset(media="text")
    make_item(dataset, "1", "cat")
    assert not [name for name in columns_of(survey_of(dataset)) if name.startswith("file: ")]


def test_a_column_is_decided_once_and_the_answer_can_be_taken_back(client):
    dataset = make_wards(tied=True)
    lead = make_member(dataset, Role.LEAD)
    flag = flag_of(dataset, "shortcut", find_shortcut_columns(survey_of(dataset)))
    client.force_login(lead)
    page = client.get(reverse("quality:queue", args=[dataset.slug, "shortcut"]))
    assert "gives the answer away" in page.content.decode()
    assert "column: ward" in page.content.decode()
    address = reverse("quality:decide", args=[dataset.slug, "shortcut", flag.pk])
    client.post(address, {"action": "confirm"})
    flag.refresh_from_db()
    assert flag.state == FlagState.DECIDED
    raise_doubts(dataset, *find_shortcut_columns(survey_of(dataset)), kind="shortcut")
    assert not open_flags(dataset, "shortcut").exists()
    client.post(reverse("quality:undo", args=[dataset.slug, "shortcut"]))
    flag.refresh_from_db()
    assert flag.state == FlagState.OPEN


def test_an_export_has_one_row_for_each_item_of_a_column_and_none_for_their_pairs():
    dataset = make_wards(tied=True)
    flag = flag_of(dataset, "shortcut", find_shortcut_columns(survey_of(dataset)))
    rows = [(row["key"], row["other_key"]) for row in flag_rows(dataset)]
    assert rows == [(key, "") for key in sorted(flag.items.values_list("key", flat=True))]
    assert len(rows) > 2


def make_jaguars():
    """Two animals and two cars, the second animal under the first car's name."""
    dataset = make_dataset(classes=("jaguar", "lion", "bus"))
    rng = np.random.default_rng(5)
    middles = rng.normal(size=(4, 16)) * 1.5
    names = ["jaguar", "lion", "bus", "jaguar"]
    vectors = []
    for number in range(4 * EACH):
        make_item(dataset, f"{number:03}.png", names[number % 4])
        vectors.append(middles[number % 4] + rng.normal(size=16))
    survey = survey_of(dataset)
    survey.__dict__["vectors"] = np.array(vectors, np.float32)
    survey.__dict__["graph"] = nearest(np.array(vectors))
    return dataset, survey


def test_a_class_of_two_things_is_split_under_a_new_name_and_put_back():
    dataset, survey = make_jaguars()
    lead = make_member(dataset, Role.LEAD)
    doubt = find_double_classes(survey)[0]
    assert doubt.given == "jaguar"
    raise_doubts(dataset, doubt, kind="double_class")
    flag = Flag.objects.get(kind="double_class")
    part = set(flag.flag_items.filter(role="part").values_list("item_id", flat=True))
    with pytest.raises(decisions.DecisionRefusedError, match="called"):
        decisions.decide_flag(flag=flag, reviewer=lead, action=Action.SPLIT)
    decision = decisions.decide_flag(
        flag=flag, reviewer=lead, action=Action.SPLIT, new_class="jaguar (car)"
    )
    renamed = dataset.items.filter(label__name="jaguar (car)")
    assert set(renamed.values_list("pk", flat=True)) == part
    assert all(int(item.key[:3]) % 4 == int(renamed[0].key[:3]) % 4 for item in renamed)
    decisions.undo_decision(decision=decision, reviewer=lead)
    assert dataset.items.filter(label__name="jaguar").count() == 2 * EACH
    assert open_flags(dataset, "double_class").count() == 1
    made = dataset.classes.get(name="jaguar (car)")
    assert made.retired_at, "nobody is offered the class any more"
    decisions.decide_flag(flag=flag, reviewer=lead, action=Action.SPLIT, new_class=made.name)
    made.refresh_from_db()
    assert made.retired_at is None, "the same split once more takes it back into use"


def queue_page(client, dataset, kind="double_class"):
    client.force_login(make_member(dataset))
    return client.get(reverse("quality:queue", args=[dataset.slug, kind])).text


ENTER = '<kbd class="keycap">↵</kbd> <span class="clip">'


def test_enter_splits_a_class_only_where_the_head_of_the_queue_expects_it_to_be_two(client):
    dataset, survey = make_jaguars()
    doubt = find_double_classes(survey)[0]
    raise_doubts(dataset, doubt, kind="double_class")
    assert f"{ENTER}Give the smaller part" in queue_page(client, dataset)
    flag = Flag.objects.get()
    Flag.objects.update(score=0.2, is_likely=False, expected=0.1)
    page = queue_page(client, dataset)
    assert ENTER not in page
    assert '<kbd class="keycap">K</kbd> <span class="clip">One thing: keep jaguar whole' in page
    assert '<kbd class="keycap">C</kbd> <span class="clip">Give the smaller part' in page
    Flag.objects.update(score=doubt.score, is_likely=True, expected=0.85)
    for number in range(6):  # people found none of six such doubts right
        other = Flag.objects.create(
            dataset=dataset, kind="double_class", subject=str(number), score=0.7, expected=0.85
        )
        FlagItem.objects.create(flag=other, item=flag.items.first(), role="part")
        decisions.decide_flag(flag=other, reviewer=None, action=Action.KEEP, seconds=1.0)
    page = queue_page(client, dataset)
    assert "<b>0</b> expected right" in page
    assert ENTER not in page


def test_a_class_under_doubt_says_how_many_test_items_keep_its_name(client):
    dataset, survey = make_jaguars()
    raise_doubts(dataset, find_double_classes(survey)[0], kind="double_class")
    assert "the test set is sealed" not in queue_page(client, dataset)
    for key in ("one", "two"):
        make_item(dataset, f"test/{key}.png", "jaguar", split="test")
    make_item(dataset, "test/out.png", "jaguar", split="test", excluded="blurred")
    page = queue_page(client, dataset)
    assert "2 test items are “jaguar” too and stay so" in page
    assert "?class=jaguar&amp;split=test" in page
    decide = reverse("quality:decide", args=[dataset.slug, "double_class", Flag.objects.get().pk])
    split = client.post(decide, {"action": "split", "new_class": "jaguar (car)"}, follow=True)
    assert "Split. 2 test items are still “jaguar”" in split.text


def test_a_split_says_in_the_guideline_which_is_which_and_its_undo_takes_that_back():
    dataset, survey = make_jaguars()
    lead = make_member(dataset, Role.LEAD)
    publish_guideline(dataset=dataset, text="Look twice.", by=lead)
    raise_doubts(dataset, find_double_classes(survey)[0], kind="double_class")
    chosen = {"action": Action.SPLIT, "new_class": "jaguar (car)", "rule": "it has wheels"}
    decided = decisions.decide_flag(flag=Flag.objects.get(), reviewer=lead, **chosen)
    newest = dataset.guidelines.first()
    assert newest.number == 2
    assert newest.text == "Look twice.\n\n**jaguar (car)** (not jaguar): it has wheels\n"
    assert "jaguar (car)" in newest.change
    decisions.undo_decision(decision=decided, reviewer=lead)
    again = dataset.guidelines.first()
    assert (again.text, again.change) == ("Look twice.", f"Taken back: {newest.change}")
    decided = decisions.decide_flag(flag=Flag.objects.get(), reviewer=lead, **chosen)
    publish_guideline(dataset=dataset, text="Look three times.", by=lead)
    decisions.undo_decision(decision=decided, reviewer=lead)
    assert dataset.guidelines.first().text == "Look three times.", "what came later stays"


def test_a_class_that_is_doubted_again_is_about_the_items_of_its_part_now():
    dataset, survey = make_jaguars()
    doubt = find_double_classes(survey)[0]
    raise_doubts(dataset, doubt, kind="double_class")
    fewer = replace(doubt, rows=doubt.rows[1:], roles=doubt.roles[1:])
    raise_doubts(dataset, fewer, kind="double_class")
    held = Flag.objects.get().flag_items.values_list("item", "role")
    rows = zip(fewer.rows, fewer.roles, strict=True)
    assert set(held) == {(survey.ids[row], role) for row, role in rows}


def assert_one_is_told_to_be_settled(flag):
    evidence = evidence_of(flag)
    shown = choices_for(
        flag, evidence.every, roles=evidence.roles, classes=[], people=1, backed=True
    )
    doubted = flag.flag_items.filter(role="part").count()
    assert (shown.settled, f"({doubted - 1})" in shown.main.words) == (1, True)


def test_items_settled_one_by_one_leave_the_rest_of_the_class_to_be_decided():
    dataset, survey = make_jaguars()
    lead = make_member(dataset, Role.LEAD)
    raise_doubts(dataset, *find_double_classes(survey), kind="double_class")
    flag = Flag.objects.get(kind="double_class", given="jaguar")
    gone = flag.flag_items.filter(role="part").first().item
    gone.excluded = "blurred"
    gone.save()
    assert flag in open_flags(dataset, "double_class")
    assert_one_is_told_to_be_settled(flag)
    decision = decisions.decide_flag(flag=flag, reviewer=lead, action=Action.EXCLUDE)
    assert gone.pk not in {state["item"] for state in decision.after}
    gone.refresh_from_db()
    assert gone.excluded == "blurred"
