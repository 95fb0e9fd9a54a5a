"""Versions: any two told apart with who and why, named, checked by anybody, brought back."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from labeling import storage, version_columns
from labeling.models import Content, Dataset, Item, Job, LabelChange, LabelSource, Split, Version
from labeling.queries.versions import Changes, Comparing, counts_between, lines_between, merged
from labeling.services import jobs, labels, restoring
from labeling.services.versions import freeze_version
from quality.services import selection
from quality.services.selection import Selection
from tests.factories import make_member
from tests.quality.words import add_text, make_words

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(client):
    """A lead of a dataset with v1, and v2 after one change of each kind."""
    dataset = make_words("words", items=12, test_items=4)
    user = make_member(dataset, "lead", "lea")
    client.force_login(user)
    freeze_version(dataset=dataset)
    add_text(dataset, "later", text="came afterwards", label=None, split="train")
    first, second, third = dataset.items.filter(split="train").order_by("key")[:3]
    other = dataset.classes.exclude(pk=first.label_id).first()
    for act, item, how in (
        (selection.relabel, first, {"label": other}),
        (selection.exclude, second, {"reason": "blurred"}),
        (selection.move, third, {"split": Split.VALIDATION}),
    ):
        act(Selection(dataset=dataset, items=[item.pk], by=user), **how)
    freeze_version(dataset=dataset)
    client.user = user
    return client


def changes(client, **query):
    found = client.get(reverse("quality:version_difference", args=["words"]), query)
    assert found.status_code == 200
    return found


def bring_back(number, user):
    version = Version.objects.get(number=number)
    job = restoring.open_restoring(version=version, by=user)
    return jobs.carry_out(job.pk, restoring.restore)


def test_two_versions_are_told_apart_with_who_when_and_why(lead):
    rows = changes(lead, old=1, new=2).context["rows"]
    told = {row.kinds[0]: (row.by, row.why) for row in rows}
    assert told == {
        "added": ("", ""),
        "relabelled": ("lea", told["relabelled"][1]),
        "left_out": ("lea", "blurred"),
        "moved": ("lea", "Change the split"),
    }
    only = changes(lead, old=2, new=1, kind="moved")  # in whichever order
    assert [row.kinds for row in only.context["rows"]] == [["moved"]]
    assert "Nothing differs" in changes(lead, old=2, new=2).text
    assert "Choose two versions" in changes(lead, old=1, new=7).text


def test_pages_of_changes_meet_and_cost_the_same_queries(lead, django_assert_max_num_queries):
    dataset = Dataset.objects.get()
    for number in range(60):
        add_text(dataset, f"more{number:02}", text=f"word {number}", label=None, split="train")
    freeze_version(dataset=dataset)
    changes(lead, old=1, new=3)
    with django_assert_max_num_queries(16):
        first = changes(lead, old=1, new=3).context
    second = changes(lead, old=1, new=3, after=first["next"]).context
    keys = [row.item.key for page in (first, second) for row in page["rows"]]
    assert keys == sorted(set(keys))
    assert len(keys) == first["total"] == 64


def test_what_changed_since_the_version_before_is_kept_when_it_is_frozen(lead):
    dataset = make_words(items=6)
    first, _ = freeze_version(dataset=dataset)
    Item.objects.filter(pk=dataset.items.order_by("key")[0].pk).update(excluded="blurred")
    second, _ = freeze_version(dataset=dataset)
    told = version_columns.kept_changes(first, second)
    assert told
    assert told["kinds"] == {"left_out": 1}
    lines = version_columns.kept_lines(first, second)
    version_columns.remove(second)  # as of a version from before it was kept
    version_columns.keep_changes(first, second, {"gone": 1}, lines=lines)  # as once, by kind alone
    assert Comparing().of(first, second) == Changes(gone=1)
    assert version_columns.kept_changes(first, second) == told
    assert told == asdict(counts_between(first, second))
    version_columns.remove(second)  # as of a version from before lines were kept
    assert lines_between(first, second).was.tolist() == lines.was.tolist() == [0]


def test_a_difference_is_shown_as_it_was_when_it_was_frozen_without_its_manifests(lead):
    first, second = Version.objects.order_by("number")
    told = version_columns.kept_changes(first, second)
    for version in (first, second):
        storage.path_of(version.digest).unlink()
    page = changes(lead, old=1, new=2).context
    assert {one["kind"]: one["n"] for one in page["counts"]} == told["kinds"]
    assert Counter(kind for row in page["rows"] for kind in row.kinds) == told["kinds"]
    assert (page["total"], page["classes"]) == (4, told["classes"])
    moved = changes(lead, old=1, new=2, kind="moved").context
    assert len(moved["rows"]) == told["kinds"]["moved"]


def test_a_version_brought_back_has_its_digest_again_and_that_can_be_undone(lead):
    first, second = Version.objects.order_by("number")
    done = bring_back(1, lead.user)
    assert done.result == {
        "version": 1, "before": 2, "after": 3, "changed": 4, "is_whole": True,
    }  # fmt: skip
    assert Version.objects.get(number=3).digest == first.digest
    assert "not in v1" in Item.objects.get(key="later").excluded
    assert LabelChange.objects.order_by("-pk")[0].reason == "v1 brought back"
    page = lead.get(done.get_absolute_url()).content.decode()
    assert "4 items were changed back to what v1 holds; frozen as v3." in page
    assert "What was there before is v2" in page
    assert bring_back(2, lead.user).result["is_whole"]
    assert Version.objects.get(number=4).digest == second.digest


def test_a_version_that_would_change_test_items_is_not_brought_back_by_one_person(lead):
    dataset = Dataset.objects.get()
    Dataset.objects.update(has_second_reviewer=True)
    assert bring_back(1, lead.user).state == "done"  # it changes items of train alone
    dataset.items.filter(split="test").update(excluded="blurred")
    frozen = dataset.versions.count()
    refused = bring_back(1, lead.user)
    assert "would change 4 test items" in refused.error
    assert (dataset.versions.count(), dataset.items.exclude(excluded="").count()) == (frozen, 5)
    newest, _ = freeze_version(dataset=dataset)
    button = 'type="submit">Bring v1 back'
    shown = changes(lead, old=1, new=newest.number).text  # offers nothing that is sure to fail
    assert "Nobody changes test items alone here" in shown
    assert button not in shown
    Dataset.objects.update(has_second_reviewer=False)
    assert button in changes(lead, old=1, new=newest.number).text
    assert bring_back(1, lead.user).result["is_whole"]


def test_what_was_not_frozen_is_frozen_before_a_version_comes_back(lead):
    dataset = Dataset.objects.get()
    item = dataset.items.filter(split="test").first()
    other = dataset.classes.exclude(pk=item.label_id).first()
    labels.set_labels(labels={item.pk: other}, source=LabelSource.REVIEW, by=lead.user)
    result = bring_back(1, lead.user).result
    assert (result["before"], result["after"]) == (3, 4)
    assert bring_back(3, lead.user).result["is_whole"]
    item.refresh_from_db()
    assert item.label_id == other.pk


def test_bytes_that_were_replaced_come_back_with_what_is_odd_about_them(lead):
    dataset = Dataset.objects.get()
    item, other = dataset.items.filter(split="test").order_by("key")[:2]
    was = item.content_id
    Content.objects.filter(pk=was).update(oddities=[["odd", "in some way"]])
    dataset.items.filter(pk=item.pk).update(content=other.content_id, odd=[["new", "otherwise"]])
    assert bring_back(1, lead.user).result["is_whole"]
    item.refresh_from_db()
    assert (item.content_id, item.odd) == (was, [["odd", "in some way"]])


def test_a_version_whose_bytes_are_gone_is_refused_before_anything_changes(lead):
    dataset = Dataset.objects.get()
    item, other = dataset.items.filter(split="test").order_by("key")[:2]
    was = item.content_id
    dataset.items.filter(pk=item.pk).update(content=other.content_id)
    Content.objects.filter(pk=was).delete()
    done = bring_back(1, lead.user)
    assert (done.state, f"The file of {item.key}" in done.error) == ("failed", True)
    assert not dataset.items.filter(excluded__contains="not in v1").exists()


def test_a_killed_attempt_goes_on_and_freezes_what_was_only_once(lead, monkeypatch):
    monkeypatch.setattr(restoring, "ROWS_A_TRANSACTION", 2)

    def end(job):
        if job.done:
            raise KeyboardInterrupt

    job = restoring.open_restoring(version=Version.objects.get(number=1), by=lead.user)
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt):
        jobs.carry_out(job.pk, restoring.restore, watch=end)
    Job.objects.filter(pk=job.pk).update(lease_until="2000-01-01T00:00Z")
    done = jobs.carry_out(job.pk, restoring.restore)
    assert done.result["is_whole"]
    assert [v.number for v in Version.objects.order_by("number")] == [1, 2, 3]


def test_classes_renamed_since_and_retired_ones_come_back(lead):
    dataset = Dataset.objects.get()
    renamed, retired = dataset.classes.all()[:2]
    dataset.classes.filter(pk=renamed.pk).update(name="renamed")
    dataset.classes.filter(pk=retired.pk).update(retired_at="2026-01-01T00:00Z", key="")
    assert bring_back(1, lead.user).result["is_whole"]
    assert dataset.classes.filter(name=renamed.name, retired_at=None).exists()
    assert dataset.classes.filter(name=retired.name, retired_at=None).exists()


def test_a_lead_asks_for_it_on_the_page_of_the_difference(lead):
    shown = changes(lead, old=1, new=2)
    assert "Bring v1 back" in shown.text
    sent = lead.post(reverse("labeling:restore_version", args=["words", 1]), follow=True)
    assert "Bringing a version back" in sent.text
    again = lead.post(reverse("labeling:restore_version", args=["words", 1]), follow=True)
    assert "Let this end or cancel it" in again.text


def test_a_tag_names_one_version_and_can_be_taken_away(lead):
    def tag(number, words):
        address = reverse("labeling:tag_version", args=["words", number])
        return lead.post(address, {"tag": words}, follow=True).text

    assert "release-1" in tag(1, "release-1")
    assert "tagged release-1 already" in tag(2, "release-1")
    assert "letters, digits" in tag(2, "two words")
    assert "letters, digits" in tag(2, "v1")
    tag(1, "")
    assert "tagged" not in tag(2, "release-1")
    assert Version.objects.get(tag="release-1").number == 2


def test_anybody_can_recompute_the_digest(lead):
    found = lead.get(reverse("labeling:manifest", args=["words", 1]))
    content = b"".join(found.streaming_content)
    assert hashlib.sha256(content).hexdigest() == Version.objects.get(number=1).digest


LINES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8)


@given(LINES, LINES)
def test_merging_two_manifests_finds_what_comparing_them_in_memory_finds(was, now):
    def lines(held):
        return iter([json.dumps({"key": k, "label": held[k]}).encode() for k in sorted(held)])

    found = {
        one.key: ((one.was or {}).get("label"), (one.now or {}).get("label"))
        for one in merged(lines(was), lines(now))
    }
    assert found == {
        key: (was.get(key), now.get(key))
        for key in was.keys() | now.keys()
        if was.get(key) != now.get(key)
    }
