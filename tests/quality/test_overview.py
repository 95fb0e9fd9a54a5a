"""The front page of a dataset: what is wrong in order, what was gained, what to do next."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset, Item, Job, JobState, Outcome, Role
from labeling.services import jobs
from labeling.services.versions import freeze_version
from quality.models import Action, Comparison, Decision, Flag, Run
from quality.queries.overview import overview_of
from quality.services import decisions, selection
from tests import factories
from tests.factories import make_flag

pytestmark = pytest.mark.django_db
KINDS = {"label_error": "Label errors", "file_fault": "Odd files", "manual": "Flagged by people"}


def doubt(item: Item, kind: str, *, is_likely: bool = True) -> None:
    expected = 0.9 if is_likely else 0.1
    make_flag(item, kind=kind, score=0.5, is_likely=is_likely, expected=expected, given="")


@pytest.fixture
def pets() -> Dataset:
    dataset = factories.make_dataset("pets", question="Cat or dog?")
    for n in range(6):
        factories.make_item(dataset, f"cat-{n}.png", "cat", split="test" if n < 2 else "train")
    return dataset


def client_of(dataset: Dataset, role: str = Role.LEAD) -> Client:
    client = Client()
    client.force_login(factories.make_member(dataset, role))
    return client


def url(dataset: Dataset) -> str:
    return reverse("quality:overview", args=[dataset.slug])


def test_queues_stand_in_the_order_of_flags_expected_right(pets: Dataset) -> None:
    items = list(pets.items.order_by("key"))
    for item in items[:4]:
        doubt(item, "file_fault", is_likely=False)
    for item in items[:2]:
        doubt(item, "label_error")
    found = overview_of(pets, factories.make_member(pets), kinds=KINDS)
    told = [(queue.kind, queue.open, queue.touches_test) for queue in found["queues"]]
    assert told == [("label_error", 2, 2), ("file_fault", 4, 2)]
    assert found["seconds"] is None


def test_every_page_says_alike_how_many_open_flags_are_expected_right(pets: Dataset) -> None:
    for item in pets.items.order_by("key")[:5]:
        doubt(item, "label_error")
    client, slug = client_of(pets), [pets.slug]
    shown = client.get(url(pets)).context["queues"][0].expected
    assert f"{shown.value:.0f}" == "4"  # nine in ten each, less what the first decisions may teach
    review = client.get(reverse("quality:review", args=slug))
    assert review.context["lines"][0][2] == shown
    checks = client.get(reverse("quality:checks", args=slug)).context["lines"]
    assert next(line for line in checks if line.kind.name == "label_error").expected == shown
    head = client.get(reverse("quality:queue", args=[*slug, "label_error"]))
    assert head.context["expected"] == shown
    assert f"{shown.value:.0f}</b> expected right" in review.text
    freeze_version(dataset=pets)
    report = client.get(reverse("quality:report", args=slug)).context["report"]
    assert report.queues[0].expected == shown


def test_classes_are_counted_outside_test_and_in_it_without_excluded_items(pets: Dataset) -> None:
    Item.objects.filter(key="cat-5.png").update(excluded="dark")
    bars = overview_of(pets, factories.make_member(pets), kinds=KINDS)["bars"]
    assert [(row["label"], row["value"], row["second"]) for row in bars] == [("cat", 3, 2)]


def test_excluded_items_are_counted_where_they_are_and_lead_to_browse(pets: Dataset) -> None:
    shown = client_of(pets)
    address = f"{reverse('quality:browse', args=[pets.slug])}?excluded=1"
    assert address not in shown.get(url(pets)).text
    Item.objects.filter(key__in=("cat-4.png", "cat-5.png")).update(excluded="dark")
    page = shown.get(url(pets)).text
    assert f'4 labelled images, <a href="{address}">2 excluded</a>.' in page
    assert "2 items" in shown.get(address).text


def test_a_fresh_dataset_is_led_around_the_loop() -> None:
    dataset = factories.make_dataset("fresh")
    page = client_of(dataset).get(url(dataset))
    assert page.context["next_step"].title == "Import"
    factories.make_item(dataset, "a.png", "cat")
    page = client_of(dataset).get(url(dataset))
    assert page.context["next_step"].title == "Train"
    assert "No version yet" in page.content.decode()


def test_own_items_lead_to_one_button_that_trains_and_to_no_round_for_one_label() -> None:
    dataset = factories.make_dataset("own")
    for n in range(20):
        factories.make_item(dataset, f"{n}.png", ("cat", "dog")[n % 2])
    factories.make_item(dataset, "new.png")
    page = client_of(dataset).get(url(dataset))
    assert page.context["next_step"].title == "Train"
    assert "Train the first model" in page.content.decode()
    assert "A quick model learns from your labels" in page.content.decode()
    shown = client_of(dataset, Role.REVIEWER).get(url(dataset)).content.decode()
    assert "Train the first model" not in shown


def test_flagging_one_item_is_neither_a_check_nor_a_review_and_leaves_training_next() -> None:
    dataset = factories.make_dataset("own")
    items = [factories.make_item(dataset, f"{n}.png", ("cat", "dog")[n % 2]) for n in range(8)]
    lead = factories.make_member(dataset)
    chosen = selection.Selection(dataset, [items[0].pk], by=lead, seconds=2.2)
    selection.flag(chosen, note="look", by=lead)
    page = client_of(dataset).get(url(dataset))
    assert {step.title for step in page.context["steps"] if step.is_done} == {"Import", "Label"}
    assert "Train the first model" in page.text
    assert [queue.kind for queue in page.context["queues"]] == ["manual"]
    assert overview_of(dataset, lead, kinds=KINDS)["queues"][0].seconds is None


def test_a_doubted_text_is_one_line_of_it() -> None:
    dataset = factories.make_dataset("words", media="text")
    item = factories.make_item(dataset, "a", "cat")
    item.content.text = "two cats sat on one mat"
    item.content.save()
    doubt(item, "label_error")
    page = client_of(dataset).get(url(dataset)).content.decode()
    assert page.count("two cats sat on one mat</a>") == 1
    assert "thumb-sm" not in page


@pytest.mark.parametrize(("role", "is_offered"), [(Role.REVIEWER, False), (Role.LEAD, True)])
def test_the_menu_leads_those_who_may_change_them_to_the_settings(
    pets: Dataset, role: str, is_offered: bool
) -> None:
    page = client_of(pets, role).get(url(pets)).text
    assert (reverse("labeling:settings", args=[pets.slug]) in page) is is_offered


def test_changes_of_an_import_that_nobody_applied_wait_for_the_lead(pets: Dataset) -> None:
    for options in ({}, {"question": {"reason": "no column names the files"}}):
        pets.uploads.create(name="labels.csv", path=f"/{len(options)}", options=options)
    for again in range(2):  # read once more by another column: told once
        upload = pets.uploads.create(name="labels.csv", path="/kept")
        for n in range(2 + again):
            upload.entries.create(name=f"cat-{n}.png", outcome=Outcome.DIFFERENT)
    shown = client_of(pets).get(url(pets)).context["waiting"]
    assert [(row["n"], row["words"]) for row in shown] == [
        (3, "changes of an import to confirm"),
        (1, "import that asks which columns are meant"),
    ]
    assert shown[0]["url"].endswith(f"/uploads/{upload.pk}/")
    assert client_of(pets, Role.REVIEWER).get(url(pets)).context["waiting"] == []


def test_a_round_without_items_is_not_shown(pets: Dataset) -> None:
    asked, _empty = (pets.rounds.create(name=name) for name in ("Six to answer", "All taken back"))
    asked.round_items.create(item=pets.items.first(), position=0, wanted=1)
    shown = client_of(pets).get(url(pets)).context["rounds"]
    assert [row.name for row in shown] == ["Six to answer"]


def test_what_runs_just_now_is_said_and_where_to_watch_it(pets: Dataset) -> None:
    job = jobs.open_job(kind="train", dataset=pets, queue="train")
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, detail={"run": 1})
    page = client_of(pets).get(url(pets))
    steps = {step.title: step.is_running for step in page.context["steps"]}
    assert steps["Train"]
    assert not steps["Check"]
    assert "Work is under way" in page.text
    assert "Watch run 1 learn" in page.text


def test_a_queue_says_what_people_found_of_it_so_far(pets: Dataset) -> None:
    lead = factories.make_member(pets)
    items = list(pets.items.order_by("key"))
    for item in items[:5]:
        doubt(item, "file_fault")
    flags = list(Flag.objects.order_by("pk"))
    decisions.decide_flag(flag=flags[4], reviewer=lead, action=Action.EXCLUDE, reason="dark")
    decisions.decide_flag(flag=flags[3], reviewer=lead, action=Action.KEEP)
    undone = decisions.decide_flag(flag=flags[2], reviewer=lead, action=Action.KEEP)
    decisions.undo_decision(decision=undone, reviewer=lead)
    [queue] = overview_of(pets, lead, kinds=KINDS)["queues"]
    assert (queue.confirmed.right, queue.confirmed.decided, queue.open) == (1, 2, 3)
    assert queue.confirmed.share.low < 0.5 < queue.confirmed.share.high
    assert "1 of 2 decided were right" in client_of(pets).get(url(pets)).text


def test_the_label_that_is_doubted_most_is_named(pets: Dataset) -> None:
    for item in pets.items.order_by("key")[:3]:
        doubt(item, "label_error")
    Flag.objects.update(given="cat", suggested="dog")
    [queue] = overview_of(pets, factories.make_member(pets), kinds=KINDS)["queues"]
    assert queue.most_doubted == "cat"


def test_the_class_card_says_what_is_short_and_what_to_collect(
    pets: Dataset,
) -> None:
    factories.make_item(pets, "dog.png", "dog", split="test")
    page = client_of(pets).get(url(pets)).content.decode()
    assert "“dog” is short: 1 item, “cat” has 6." in page
    assert "2 classes have fewer than the 37 test items" in page
    assert "collect 36 more of “dog” for test first" in page


def test_a_class_without_items_is_called_empty_and_not_short(pets: Dataset) -> None:
    factories.make_item(pets, "dog.png", "dog")
    pets.classes.create(name="delivery")
    page = client_of(pets).get(url(pets)).content.decode()
    assert "“delivery” has no item: label some, or take the class out of use" in page
    assert "is short: 0" not in page


def test_classes_of_like_size_without_a_test_split_are_not_talked_about(pets: Dataset) -> None:
    pets.items.update(split="train")
    for n in range(4):
        factories.make_item(pets, f"dog-{n}.png", "dog", split="train")
    assert not overview_of(pets, factories.make_member(pets), kinds=KINDS)["imbalance"]


def test_review_is_done_when_nothing_likely_waits_or_what_it_bought_was_proved(
    pets: Dataset,
) -> None:
    lead = factories.make_member(pets)

    def step() -> Any:
        found = overview_of(pets, lead, kinds=KINDS)["steps"]
        return next(one for one in found if one.title == "Review")

    for item in pets.items.filter(split="train")[:3]:
        doubt(item, "label_error")
    first, last = Flag.objects.order_by("pk").first(), Flag.objects.order_by("pk").last()
    Flag.objects.filter(pk=last.pk).update(is_likely=False)
    assert not step().is_done
    decisions.decide_flag(flag=first, reviewer=lead, action="keep")
    assert not step().is_done
    assert "1 decided; 1 of those that wait are expected right" in step().why
    version, _ = freeze_version(dataset=pets)
    run = Run.objects.create(
        dataset=pets, number=1, version=version, protocol={}, backbone="b", metrics={}
    )
    proof = Comparison.objects.create(dataset=pets, old=run, new=run, result={"difference": 0.0})
    assert step().is_done
    proof.delete()
    Flag.objects.filter(state="open").update(is_likely=False)
    assert step().is_done
    decisions.undo_decision(decision=Decision.objects.get(), reviewer=lead)
    assert not step().is_done
