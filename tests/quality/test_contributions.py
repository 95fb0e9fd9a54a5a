"""Parts of a gain: each kind is left out; what mends gains, what teaches nothing is 0."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from labeling.models import Job, LabelSource, Role, Split
from labeling.queries.versions import Change
from labeling.services import jobs, labels
from labeling.services.versions import freeze_version
from quality.models import Comparison, Run, TestOpening
from quality.services import contributions
from tests.factories import make_member
from tests.quality.words import add_text, make_words

lines = st.fixed_dictionaries(
    {
        "label": st.sampled_from(["sea", "sky", None]),
        "split": st.sampled_from(["train", "test"]),
        "sha256": st.sampled_from(["a", "b"]),
    }
)
versions = st.dictionaries(st.sampled_from("pqrst"), lines)


@given(was=versions, now=versions)
def test_leaving_every_kind_out_leaves_the_earlier_version(was, now):
    was, now = ({key: {"key": key, **line} for key, line in each.items()} for each in (was, now))
    keys = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
    changes = [Change(key=key, was=was.get(key), now=now.get(key)) for key in keys]
    kept = now
    for kind, some in contributions.changes_by_kind(changes).items():
        kept = {line["key"]: line for line in contributions.lines_without(kind, some, kept)}
    assert kept == was


@pytest.mark.django_db
def test_what_mends_labels_gains_and_what_teaches_nothing_is_exactly_zero(client):
    dataset = make_words(items=90, test_items=60)
    train = list(dataset.items.filter(split=Split.TRAIN).select_related("label"))
    good = {item.pk: item.label for item in train}
    classes = list(dataset.classes.all())
    wrong = {
        item.pk: classes[(classes.index(item.label) + 1) % len(classes)] for item in train[::3]
    }
    labels.set_labels(labels=wrong, source=LabelSource.REVIEW)
    freeze_version(dataset=dataset)
    labels.set_labels(labels=good, source=LabelSource.REVIEW)
    labels.exclude_items(items=[train[1].pk, train[2].pk], reason="odd")
    add_text(dataset, "zz", text="nothing said about it", label=None, split="train")
    freeze_version(dataset=dataset)
    call_command("prove", dataset.slug, "1", "2", "--parts")
    result = Comparison.objects.get().result
    parts = {part["kind"]: part for part in result["contributions"]}
    assert {kind: part["items"] for kind, part in parts.items()} == {
        "relabelled": 30, "left_out": 2, "added": 1,
    }  # fmt: skip
    assert parts["relabelled"]["low"] > 0
    assert parts["relabelled"]["after"] == result["after"]
    added = parts["added"]
    assert (added["difference"], added["low"], added["high"]) == (0, 0, 0)
    assert Run.objects.count() == 2
    assert TestOpening.objects.count() == 3
    _shown(client, dataset)


def _shown(client, dataset):
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("quality:before_after", args=[dataset.slug])).content.decode()
    assert "The parts need not add up" in page
    pk = Comparison.objects.get().pk
    told = client.post(reverse("quality:contributions", args=[dataset.slug, pk]))
    assert told.status_code == 302
    job = Job.objects.get(kind="contributions", state="queued")
    assert job.queue == "train"
    jobs.carry_out(job.pk, contributions.contribute)
    assert Job.objects.get(pk=job.pk).result["unchanged"]


@pytest.mark.django_db
def test_without_test_items_no_part_is_told():
    dataset = make_words(items=48)
    freeze_version(dataset=dataset)
    labels.exclude_items(items=[dataset.items.get(key="0003").pk], reason="odd")
    freeze_version(dataset=dataset)
    with pytest.raises(CommandError, match="Label some in the test split"):
        call_command("prove", dataset.slug, "1", "2", "--parts")
