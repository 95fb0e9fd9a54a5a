"""The pages of checks and review: what they show, what they answer, what they cost."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling.models import Content, Dataset, Item, Role
from quality.models import Action, Decision, Flag, FlagState
from quality.services.decisions import DecisionRefusedError, decide_flag
from tests.factories import make_dataset, make_flag, make_item, make_member

pytestmark = pytest.mark.django_db
FETCH = {"HTTP_X_REQUESTED_WITH": "fetch"}


def make_flags(dataset: Dataset, count: int, *, first: int = 0) -> list[Flag]:
    flags = []
    for number in range(first, first + count):
        item = make_item(dataset, f"{number:03}.png", "cat")
        others = [[item.pk, 0.9]]
        flag = make_flag(
            item,
            subject=f"subject {number}",
            score=0.9 - number / 1000,
            reason=f"doubt number {number}",
            evidence={"probabilities": [["dog", 0.8], ["cat", 0.2]], "neighbours": others},
        )
        flags.append(flag)
    return flags


def log_in(client: Client, dataset: Dataset, role: str = Role.REVIEWER) -> None:
    client.force_login(make_member(dataset, role))


def address(name: str, dataset: Dataset, *more: object) -> str:
    return reverse(f"quality:{name}", args=[dataset.slug, *more])


def test_a_dataset_without_items_is_led_to_the_import_and_not_around(client):
    dataset = make_dataset()
    log_in(client, dataset)
    page = client.get(address("review", dataset)).text
    assert reverse("labeling:import", args=[dataset.slug]) in page
    assert "Run the checks" not in page
    assert "doubts wait" not in page
    assert "no run yet" not in client.get(address("checks", dataset)).text
    assert "CSV of these" not in client.get(address("log", dataset)).text
    make_item(dataset)
    assert "Run the checks" in client.get(address("review", dataset)).text


def test_the_checks_page_says_what_was_never_checked(client):
    dataset = make_dataset()
    make_item(dataset)
    log_in(client, dataset)
    page = client.get(address("checks", dataset)).content.decode()
    assert "Label errors" in page
    assert "never" in page
    assert page.count("raised by people") == 1
    assert "Silent clips" not in page


def test_the_checks_page_of_an_empty_dataset_points_to_the_import(client):
    dataset = make_dataset()
    log_in(client, dataset)
    assert "Import some items first" in client.get(address("checks", dataset)).content.decode()


def test_the_queue_shows_the_worst_flag_first_with_its_keys(client):
    dataset = make_dataset()
    make_flags(dataset, 3)
    log_in(client, dataset)
    page = client.get(address("queue", dataset, "label_error")).content.decode()
    assert "doubt number 0" in page
    assert "Relabel as dog" in page
    assert "Keep cat" in page
    assert "<b>3</b> open" in page
    assert "expected right (0 to 3)" in page


def test_the_queue_of_labels_says_that_those_of_the_test_split_are_not_doubted(client):
    dataset = make_dataset()
    make_flags(dataset, 1)
    log_in(client, dataset)
    words = "test labels sealed"
    assert words not in client.get(address("queue", dataset, "label_error")).text
    tested = make_item(dataset, "tested.png", "cat", split="test")
    assert words in client.get(address("queue", dataset, "label_error")).text
    assert words not in client.get(address("queue", dataset, "blurred")).text
    make_flag(tested, subject="by hand", score=1)  # a person may doubt one all the same
    assert words not in client.get(address("queue", dataset, "label_error")).text


@pytest.mark.parametrize(("n", "words"), [(1, "set"), (2, "sets")])
def test_the_head_of_a_queue_counts_one_set_as_one(client, n, words):
    dataset = make_dataset()
    item = make_item(dataset, "a.png", "cat", split="test")
    for subject in range(n):
        make_flag(item, kind="leakage", subject=str(subject), score=1)
    log_in(client, dataset)
    page = client.get(address("queue", dataset, "leakage")).text
    assert f"<b>{n}</b> {words} open<" in page
    assert f"<b>{n}</b> {words} with test items<" in page


def test_nothing_is_suggested_where_model_and_neighbours_name_different_classes(client):
    dataset = make_dataset(classes=("cat", "dog", "fox"))
    make_item(dataset, "dog.png", "dog")
    make_item(dataset, "fox.png", "fox")
    (flag,) = make_flags(dataset, 1)
    flag.evidence["apart"] = {"model": "fox", "neighbours": "dog"}
    flag.save()
    log_in(client, dataset)
    page = client.get(address("queue", dataset, "label_error")).content.decode()
    assert "model: fox, neighbours: dog" in page
    assert "Relabel as fox, as the model says" in page
    assert "Relabel as dog, as the neighbours say" in page
    assert 'data-key="Enter' not in page
    with pytest.raises(DecisionRefusedError, match="Choose a class"):
        decide_flag(flag=flag, reviewer=make_member(dataset), action=Action.RELABEL, seconds=1.0)


def test_an_unknown_queue_is_not_there(client):
    dataset = make_dataset()
    log_in(client, dataset)
    assert client.get(address("queue", dataset, "nonsense")).status_code == 404


def test_deciding_by_form_goes_on_to_the_next_flag(client):
    dataset = make_dataset()
    first, second = make_flags(dataset, 2)
    log_in(client, dataset)
    url = address("decide", dataset, "label_error", first.pk)
    answer = client.post(url, {"action": "relabel", "seconds": "3.5"}, follow=True)
    assert second.reason in answer.content.decode()
    assert Item.objects.get(key="000.png").label.name == "dog"
    assert Decision.objects.get().seconds == 3.5


def test_the_script_gets_header_and_rail_and_a_repeated_send_counts_once(client):
    dataset = make_dataset()
    first, second = make_flags(dataset, 2)
    log_in(client, dataset)
    url = address("decide", dataset, "label_error", first.pk)
    for _ in range(2):
        reply = client.post(url, {"action": "keep"}, **FETCH)
        assert reply.status_code == 200
    assert f'data-flag="{second.pk}"' in reply.json()["rail"]
    assert f'data-flag="{first.pk}"' not in reply.json()["rail"]
    assert Decision.objects.count() == 1


def test_a_colleague_who_was_faster_is_told_calmly(client):
    dataset = make_dataset()
    (flag,) = make_flags(dataset, 1)
    url = address("decide", dataset, "label_error", flag.pk)
    log_in(client, dataset)
    client.post(url, {"action": "keep"}, **FETCH)
    log_in(client, dataset)
    reply = client.post(url, {"action": "relabel"}, **FETCH)
    assert reply.status_code == 409
    assert "colleague" in reply.json()["message"]


def test_touching_test_is_asked_once_more_and_works_without_a_script(client):
    dataset = make_dataset()
    item = make_item(dataset, "a.png", "cat", split="test")
    flag = make_flag(item, kind="manual", score=1, reason="odd")
    log_in(client, dataset)
    url = address("decide", dataset, "manual", flag.pk)
    asked = client.post(url, {"action": "exclude"})
    assert asked.status_code == 422
    assert "although it touches test" in asked.content.decode()
    client.post(url, {"action": "exclude", "test_confirmed": "on"})
    assert Decision.objects.get().touches_test


def test_a_pace_from_other_queues_is_called_so(client):
    dataset = make_dataset()
    (flag,) = make_flags(dataset, 1)
    make_flag(make_item(dataset, "odd.png"), kind="odd_image")
    lead = make_member(dataset, Role.LEAD)
    client.force_login(lead)
    decide_flag(flag=flag, reviewer=lead, action=Action.KEEP, seconds=3.0)
    page = client.get(address("queue", dataset, "odd_image")).text
    assert "at your pace in other queues, 3.0 s each" in page
    decide_flag(flag=Flag.objects.get(kind="odd_image"), reviewer=lead, action="keep", seconds=5.0)
    make_flag(make_item(dataset, "more.png"), kind="odd_image", subject="more")
    page = client.get(address("queue", dataset, "odd_image")).text
    assert "at your pace, 5.0 s each" in page


def test_undo_shows_the_flag_again(client):
    dataset = make_dataset()
    (flag,) = make_flags(dataset, 1)
    log_in(client, dataset)
    client.post(address("decide", dataset, "label_error", flag.pk), {"action": "relabel"})
    reply = client.post(address("undo", dataset, "label_error"), **FETCH)
    assert reply.json()["flag"] == flag.pk
    flag.refresh_from_db()
    assert flag.state == FlagState.OPEN
    assert client.post(address("undo", dataset, "label_error"), **FETCH).status_code == 409


def test_what_was_put_off_comes_last(client):
    dataset = make_dataset()
    first, second = make_flags(dataset, 2)
    log_in(client, dataset)
    page = client.get(address("queue", dataset, "label_error"), {"later": str(first.pk)})
    assert page.context["flag"] == second


def test_copies_say_what_happens_to_each_and_unlikely_ones_propose_nothing(client):
    dataset = make_dataset()
    train = make_item(dataset, "a.png", "cat", split="train")
    test = make_item(dataset, "b.png", "dog", split="test")
    evidence = {
        "labels": ["cat", "dog"],
        "splits": ["test", "train"],
        "pairs": [[train.pk, test.pk, 1.0, "bytes", "Equal."]],
    }
    make_flag(
        train,
        test,
        kind="leakage",
        roles=("copy", "keep"),
        score=1,
        reason="same",
        evidence=evidence,
    )
    log_in(client, dataset)
    page = client.get(address("queue", dataset, "leakage")).content.decode()
    assert "Keep 1, take out 2" in page
    assert "leaves train, and its label cat with it" in page
    assert "Keep 2 instead" not in page
    assert "Set of 2, 2 labels" in page
    assert "The copies disagree about the label: cat, dog." in page
    assert '<kbd class="keycap">↵</kbd> <span class="clip">Keep 1, take out 2' in page
    Flag.objects.update(is_likely=False)
    page = client.get(address("queue", dataset, "leakage")).content.decode()
    assert '<kbd class="keycap">K</kbd> <span class="clip">Not copies' in page
    assert "so Enter decides nothing" in page
    assert '<kbd class="keycap">↵</kbd>' not in page
    assert '<kbd class="keycap">C</kbd> <span class="clip">Keep 1, take out 2' in page
    assert "leaves train" not in page
    Item.objects.update(label=train.label)
    page = client.get(address("queue", dataset, "leakage")).content.decode()
    assert "disagree about the label" not in page  # one was relabelled since the check


def test_a_queue_with_twice_the_flags_costs_as_many_queries(client):
    dataset = make_dataset()
    log_in(client, dataset)
    counts = []
    for first, count in ((0, 5), (5, 5), (10, 10)):
        make_flags(dataset, count, first=first)
        with CaptureQueriesContext(connection) as asked:
            client.get(address("queue", dataset, "label_error"))
        counts.append(len(asked))
    assert counts[1] == counts[2], "not the first time, which counts what is kept afterwards"


def test_a_clip_cut_at_its_own_top_shows_the_share_that_its_doubt_speaks_of(client):
    dataset = make_dataset(media="audio")
    item = make_item(dataset, "loud.wav", "cat", split="train")
    facts = {"seconds": 1.0, "peak": 0.4, "clipped_share": 0.0, "flat_top_share": 0.131}
    facts |= {"dbfs": -9.0, "frame_range_db": 20.0}
    Content.objects.filter(pk=item.content_id).update(facts=facts)
    make_flag(item, kind="clipped_audio")
    log_in(client, dataset)
    page = client.get(address("queue", dataset, "clipped_audio")).text
    assert "clipped <b>.131</b>" in page
