"""Clips cut to their loudest second: what changes, what stays, and the way back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from labeling import storage
from labeling.models import Content, Dataset, Item, Job, Role, Upload, UploadEntry
from labeling.services import jobs
from labeling.services.contents import hashes_kept
from labeling.services.versions import freeze_version
from mlcore.clips import decode_sound
from quality.models import Action, Decision, Proposal
from quality.queries.facts import measured
from quality.queries.loudest import longer_than_a_second
from quality.services import cutting, deleting, second, selection, taking_back, withdrawing
from tests.factories import make_member

pytestmark = pytest.mark.django_db(transaction=True)
RATE = 8_000
BEGINS = {"train/yes/a.wav": 3_001, "train/yes/b.flac": 0, "test/no/c.wav": 8_000}


@pytest.fixture
def clips(tmp_path: Path) -> Dataset:
    """Three clips of two seconds, loud in one second (BEGINS), and one of half a second."""
    rng = np.random.default_rng(5)
    for key, start in {**BEGINS, "train/no/short.wav": None}.items():
        steps = rng.integers(-90, 90, (RATE // 2 if start is None else 2 * RATE, 1))
        if start is not None:
            steps[start : start + RATE] *= 50
        path = tmp_path / "clips" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, steps.astype(np.int16), RATE)
    call_command("import_dataset", "words", str(tmp_path / "clips"), "--media", "audio")
    dataset = Dataset.objects.get(slug="words")
    Item.objects.filter(dataset=dataset, key__startswith="test").update(split="test")
    return dataset


def sound_of(key: str) -> np.ndarray:
    item = Item.objects.get(key__endswith=key.rsplit("/", 1)[-1])
    return decode_sound(storage.read_bytes(item.content_id)).samples


def key_of(dataset: Dataset, name: str) -> str:
    return dataset.items.get(key__endswith=name).key


def contents_of(dataset: Dataset) -> dict[str, str]:
    return dict(dataset.items.values_list("key", "content"))


def chosen(dataset: Dataset, **more: Any) -> selection.Selection:
    ids = list(dataset.items.values_list("pk", flat=True))
    by = make_member(dataset, Role.LEAD)
    return selection.Selection(dataset, ids, by=by, **{"test_confirmed": True, **more})


def cut(dataset: Dataset, **more: Any) -> Decision:
    job = cutting.open_cut(chosen(dataset, **more))
    done = jobs.carry_out(job.pk, cutting.cut)
    assert done is not None
    assert done.state == "done", done.error
    return Decision.objects.get(pk=done.result["decision"])


def test_every_longer_clip_becomes_its_loudest_second_and_undo_brings_it_back(clips: Dataset):
    earlier = contents_of(clips)
    whole = {key: sound_of(key) for key in BEGINS}
    decision = cut(clips)
    assert (decision.action, len(decision.after), decision.touches_test) == (Action.CUT, 3, True)
    for key, start in BEGINS.items():
        np.testing.assert_array_equal(sound_of(key), whole[key][start : start + RATE])
    assert not longer_than_a_second(clips).exists()
    now = contents_of(clips)
    assert now.keys() == earlier.keys()
    assert [key for key in now if now[key] == earlier[key]] == [key_of(clips, "short.wav")]
    assert set(earlier.values()) <= hashes_of_kept(clips) | set(now.values())
    undone = selection.undo(decision, by=decision.by)
    assert (undone.restored, undone.left) == (3, 0)
    assert contents_of(clips) == earlier
    with pytest.raises(selection.NothingToChangeError):
        selection.undo(decision, by=decision.by)


def hashes_of_kept(dataset: Dataset) -> set[str]:
    return hashes_kept(versions=dataset.versions.all(), leaving=UploadEntry.objects.none())


def test_browse_goes_by_what_the_cuts_measure_and_after_an_undo_by_the_originals(clips: Dataset):
    def seconds() -> list[float]:
        dataset = Dataset.objects.get(pk=clips.pk)  # as each page reads it
        return [round(value, 3) for value in measured(dataset, "seconds").values.tolist()]

    assert seconds() == [0.5, 2, 2, 2]
    decision = cut(clips)
    assert seconds() == [0.5, 1, 1, 1]
    selection.undo(decision, by=decision.by)
    assert seconds() == [0.5, 2, 2, 2]


def test_a_clip_that_changed_since_stays_when_the_cut_is_undone(clips: Dataset):
    decision = cut(clips)
    other = clips.items.get(key__endswith="short.wav").content_id
    clips.items.filter(key__endswith="a.wav").update(content=other)
    undone = selection.undo(decision, by=decision.by)
    assert (undone.restored, undone.left) == (2, 1)
    assert clips.items.get(key__endswith="a.wav").content_id == other


def test_labels_given_since_do_not_hinder_the_undo(clips: Dataset):
    earlier = contents_of(clips)
    decision = cut(clips)
    yes = clips.classes.get(name="yes")
    selection.relabel(chosen(clips), label=yes)
    assert selection.undo(decision, by=decision.by).restored == 3
    assert contents_of(clips) == earlier
    assert set(clips.items.values_list("label", flat=True)) == {yes.pk}


def test_a_cancelled_cut_changes_no_clip_and_a_retried_one_goes_on(clips: Dataset):
    earlier = contents_of(clips)
    job = cutting.open_cut(chosen(clips))

    def cancel_at_the_end(shown: Job) -> None:
        if shown.done == shown.total:
            jobs.cancel_job(job=shown)

    stopped = jobs.carry_out(job.pk, cutting.cut, watch=cancel_at_the_end)
    assert stopped is not None
    assert stopped.state == "cancelled"
    assert contents_of(clips) == earlier
    assert not Decision.objects.exists()
    done = jobs.carry_out(jobs.retry_job(job=job).pk, cutting.cut)
    assert done is not None
    assert done.result["cut"] == 3


def test_test_clips_are_cut_only_when_that_was_confirmed(clips: Dataset):
    with pytest.raises(selection.TestItemsError) as asked:
        cutting.open_cut(chosen(clips, test_confirmed=False))
    assert asked.value.count == 1
    assert not Upload.objects.filter(path="").exists()
    decision = cut(clips, test_confirmed=False, without_test=True)
    assert (len(decision.after), decision.touches_test) == (2, False)
    with pytest.raises(selection.NothingToChangeError):
        cutting.open_cut(chosen(clips, without_test=True))


def test_cutting_test_clips_waits_for_a_second_reviewer_and_so_does_its_undo(clips: Dataset):
    Dataset.objects.update(has_second_reviewer=True)
    clips.refresh_from_db()
    earlier, bob = contents_of(clips), make_member(clips, Role.REVIEWER)
    made = cutting.open_cut(chosen(clips))
    assert isinstance(made, Proposal)
    assert contents_of(clips) == earlier
    job = second.agree(proposal=made, by=bob).job
    assert job is not None
    jobs.carry_out(job.pk, cutting.cut)
    decision = Decision.objects.get()
    assert (len(decision.after), decision.proposal) == (3, made)
    assert made.by is not None
    back = second.undo(decision=decision, by=made.by)
    assert isinstance(back, Proposal)
    second.agree(proposal=back, by=bob)
    assert contents_of(clips) == earlier


def test_a_frozen_version_keeps_the_originals_also_when_the_cut_is_taken_back(clips: Dataset):
    earlier = contents_of(clips)
    freeze_version(dataset=clips)
    decision = cut(clips)
    came = set(contents_of(clips).values()) - set(earlier.values())
    upload = Upload.objects.latest("pk")
    job = taking_back.open_taking_back(upload=upload, by=decision.by)
    done = jobs.carry_out(job.pk, taking_back.take_back)
    assert done is not None
    assert done.result["restored"] == 3
    assert contents_of(clips) == earlier
    assert not Content.objects.filter(pk__in=came).exists()
    assert not any(storage.path_of(sha256).exists() for sha256 in came)
    assert all(storage.path_of(sha256).exists() for sha256 in earlier.values())
    assert selection.undo(decision, by=decision.by).restored == 0


def test_consent_withdrawn_takes_cut_and_original(clips: Dataset):
    hashes = {*contents_of(clips).values()}
    cut(clips)
    hashes |= {*contents_of(clips).values()}
    ids = list(clips.items.values_list("pk", flat=True))
    job = withdrawing.open_withdrawal(dataset=clips, items=ids, typed="words", by=None)
    done = jobs.carry_out(job.pk, withdrawing.withdraw)
    assert done is not None
    assert (done.state, len(hashes)) == ("done", 7), done.error
    assert not any(storage.path_of(sha256).exists() for sha256 in hashes)


def test_the_page_shows_before_and_after_and_starts_the_job(clips: Dataset, client: Client):
    client.force_login(make_member(clips, Role.LEAD))
    url = reverse("quality:loudest", args=["words"])
    page = client.get(url, {"q": "a.wav"})
    assert "1 of 1 clips lasts longer than a second" in page.text
    item = clips.items.get(key__endswith="a.wav")
    after = client.get(reverse("quality:loudest_after", args=["words", item.pk]))
    assert "1.000 s from 0.375 s on" in after.text
    assert 'data-duration="1"' in after.text  # a click seeks in the second, not in the clip
    heard = client.get(reverse("quality:loudest_sound", args=["words", item.pk])).content
    np.testing.assert_allclose(
        decode_sound(heard).samples, sound_of("a.wav")[3_001 : 3_001 + RATE], atol=2 / 32_767
    )
    ids = [str(pk) for pk in clips.items.values_list("pk", flat=True)]
    asked = client.post(url, {"items": ids})
    assert "3 of 4 clips last longer than a second" in asked.text
    assert client.post(url, {"items": ids, "cut": "1"}).status_code == 422
    started = client.post(url, {"items": ids, "cut": "1", "test_confirmed": "on"})
    job = Job.objects.get(kind="cut")
    assert (started.status_code, started.headers["Location"]) == (302, job.get_absolute_url())
    assert client.get(job.get_absolute_url()).status_code == 200
    jobs.carry_out(job.pk, cutting.cut)
    assert "3 clips cut to a second." in client.get(reverse("quality:browse", args=["words"])).text
    told = client.get(reverse("quality:item", args=["words", item.pk])).text
    assert "Earlier bytes" in told
    assert "Cut to the loudest second" in client.get(reverse("quality:log", args=["words"])).text
    undone = client.post(reverse("quality:selection_undo", args=["words"]), follow=True)
    assert "Undone: “3 clips cut to a second”." in undone.text
    assert not client.get(url, {"q": "short"}).context["outlook"].longer


def test_a_deleted_dataset_takes_the_originals_along(clips: Dataset):
    hashes = {*contents_of(clips).values()}
    cut(clips)
    owner = make_member(clips, Role.OWNER)
    job = deleting.open_deletion(dataset=clips, typed="words", by=owner)
    done = jobs.carry_out(job.pk, deleting.delete_dataset)
    assert done is not None
    assert done.state == "done", done.error
    assert not Content.objects.filter(pk__in=hashes).exists()
