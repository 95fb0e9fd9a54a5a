"""Ways back: an import taken back, a dataset deleted."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from labeling import shards, storage, version_columns
from labeling.models import Annotation, Content, Dataset, Item, Job, Role, RoundItem, Upload, User
from labeling.services import jobs
from labeling.services.intake import differences
from labeling.services.versions import columns_of, freeze_version
from quality import arrays, tasks
from quality.models import Flag
from quality.queries import facts
from quality.services import deleting, taking_back
from tests.factories import make_asking, make_flag, make_member, make_user
from tests.labeling.test_intake import folder, png
from tests.world import make_world

pytestmark = pytest.mark.django_db(transaction=True)


def bring(root: Path, files: dict[str, bytes], *arguments: str, name: str = "pets") -> Upload:
    call_command("import_dataset", name, str(folder(root, files)), *arguments)
    return Upload.objects.latest("pk")


def carry_back(upload: Upload) -> dict[str, Any]:
    owner = make_member(upload.dataset)
    job = taking_back.open_taking_back(upload=upload, by=owner)
    done = jobs.carry_out(job.pk, taking_back.take_back)
    assert done is not None
    assert done.state == "done", done.error
    upload.refresh_from_db()
    return done.result


def bytes_of(colour: int) -> Content | None:
    return Content.objects.filter(sha256=hash_of(colour)).first()


def hash_of(colour: int) -> str:
    return hashlib.sha256(png(colour)).hexdigest()


def test_untouched_items_go_with_their_bytes_and_worked_on_ones_stay(tmp_path: Path):
    bring(tmp_path / "other", {"cat/same.png": png(1)}, name="other")
    files = {f"cat/{n}.png": png(n) for n in range(1, 6)} | {"dog/6.png": png(6)}
    upload = bring(tmp_path / "a", files)
    asked, flagged = Item.objects.get(key="cat/2.png"), Item.objects.get(key="cat/3.png")
    make_asking(upload.dataset, [asked])
    make_flag(flagged, kind="odd_file", score=0.5, reason="odd")
    gone = bytes_of(4)
    assert gone is not None
    result = carry_back(upload)
    assert (result["removed"], result["kept_keys"]) == (5, ["cat/2.png"])
    assert list(upload.dataset.items.values_list("key", flat=True)) == ["cat/2.png"]
    assert not Flag.objects.exists()
    assert bytes_of(4) is None
    assert not storage.path_of(gone.sha256).exists()
    assert not storage.path_of(gone.preview).exists()
    shared = bytes_of(1)  # another dataset has it
    assert shared is not None
    assert len(storage.read_bytes(shared.sha256)) == shared.size
    with pytest.raises(jobs.Refused):
        taking_back.open_taking_back(upload=upload, by=make_member(upload.dataset))


def test_what_a_version_holds_stays(tmp_path: Path):
    upload = bring(tmp_path / "a", {"a/cat/1.png": png(1), "a/dog/2.png": png(2)})
    freeze_version(dataset=upload.dataset)
    result = carry_back(upload)
    assert (result["removed"], result["kept"]) == (0, 2)


def test_an_import_of_nothing_else_takes_its_classes_along(tmp_path: Path):
    upload = bring(tmp_path / "a", {"cat/1.png": png(1), "dog/2.png": png(2)})
    assert upload.dataset.classes.count() == 2
    carry_back(upload)
    assert not upload.dataset.classes.exists()
    assert not upload.dataset.items.exists()


def test_changes_of_labels_metadata_and_bytes_go_back(tmp_path: Path):
    bring(tmp_path / "a", {"cat/1.png": png(1), "dog/2.png": png(2), "dog/3.png": png(3)})
    was = Item.objects.get(key="cat/1.png")
    table = b"file,label,speaker,room,split\ncat/1.png,dog,anna,hall,test\n"
    files = {"cat/1.png": png(1), "dog/2.png": png(9), "dog/4.png": png(4)}
    second = bring(tmp_path / "b", files | {"labels.csv": table}, "--replace")
    assert differences.apply_differences(upload=second).items == 1
    changed = Item.objects.get(key="cat/1.png")
    assert (str(changed.label), changed.source_group) == ("dog", "anna")
    assert changed.split == "test"
    assert bytes_of(9) is not None
    version = freeze_version(dataset=second.dataset)[0]
    second.dataset.has_second_reviewer = True  # then nobody changes what was measured alone
    with pytest.raises(jobs.Refused, match=r"change \d+ test items that a version holds"):
        taking_back.open_taking_back(upload=second, by=make_member(second.dataset))
    version.delete()
    result = carry_back(second)
    assert (result["removed"], result["restored"]) == (1, 2)
    item = Item.objects.get(key="cat/1.png")
    assert (str(item.label), item.source_group, item.metadata) == ("cat", "", {})
    assert item.split == was.split
    assert Item.objects.get(key="dog/2.png").content == bytes_of(2)
    assert bytes_of(9) is None
    assert sorted(Item.objects.values_list("key", flat=True)) == [
        "cat/1.png", "dog/2.png", "dog/3.png",
    ]  # fmt: skip


def test_labels_of_an_earlier_import_of_one_name_come_back(tmp_path: Path):
    bring(tmp_path / "a", {"cat/1.png": png(1), "dog/2.png": png(2)})
    table = b"file,label\ncat/1.png,dog\ndog/2.png,dog\n"
    files = {"cat/1.png": png(1), "dog/2.png": png(2), "labels.csv": table}
    again = bring(tmp_path / "b" / "a", files)
    differences.apply_differences(upload=again)
    assert str(Item.objects.get(key="cat/1.png").label) == "dog"
    carry_back(again)
    assert str(Item.objects.get(key="cat/1.png").label) == "cat"


def test_a_later_change_is_not_undone_with_an_earlier_import(tmp_path: Path):
    first = bring(tmp_path / "a", {"1.png": png(1), "2.png": png(2)})
    second = bring(tmp_path / "b", {"1.png": png(3)}, "--replace")
    assert carry_back(first)["kept_keys"] == ["1.png"]
    assert carry_back(second)["restored"] == 1
    assert Item.objects.get().content == bytes_of(1)


def test_the_page_asks_with_counts_and_the_report_says_what_was_done(
    client: Client, tmp_path: Path
):
    upload = bring(tmp_path / "a", {"cat/1.png": png(1), "cat/2.png": png(2)})
    client.force_login(make_member(upload.dataset, Role.LEAD))
    report = reverse("labeling:upload", args=["pets", upload.pk])
    page = reverse("quality:take_back", args=["pets", upload.pk])
    assert page in client.get(report).content.decode()
    assert "2 items go" in client.get(page).content.decode()
    busy = jobs.open_job(kind="train", dataset=upload.dataset)
    assert client.post(page).url == report
    assert not Job.objects.filter(kind="take_back").exists()
    jobs.cancel_job(job=busy)
    client.post(page)
    jobs.carry_out(Job.objects.get(kind="take_back").pk, taking_back.take_back)
    words = client.get(report).content.decode()
    assert "This import was taken back" in words
    assert page not in words
    assert "taken back" in client.get(reverse("labeling:import", args=["pets"])).content.decode()


def test_an_import_of_which_all_stays_offers_nothing_to_take_back(client: Client, tmp_path: Path):
    upload = bring(tmp_path / "a", {"cat/1.png": png(1)})
    freeze_version(dataset=upload.dataset)
    client.force_login(make_member(upload.dataset, Role.LEAD))
    page = client.get(reverse("quality:take_back", args=["pets", upload.pk])).content.decode()
    assert "Nothing of it can be taken back" in page
    assert "Take it back" not in page
    assert "Leave it" in page


def test_taking_back_is_not_offered_for_an_import_that_brought_nothing(
    client: Client, tmp_path: Path
):
    bring(tmp_path / "a", {"cat/1.png": png(1)})
    again = bring(tmp_path / "b", {"cat/1.png": png(1)})
    client.force_login(make_member(again.dataset, Role.LEAD))
    page = reverse("quality:take_back", args=["pets", again.pk])
    assert page not in client.get(reverse("labeling:upload", args=["pets", again.pk])).text
    assert "brought nothing" in client.get(page).text


def delete(dataset: Dataset, *, by: User) -> Job:
    job = deleting.open_deletion(dataset=dataset, typed=dataset.slug, by=by)
    done = jobs.carry_out(job.pk, deleting.delete_dataset)
    assert done is not None
    assert done.state == "done", done.error
    return done


def test_a_deleted_dataset_leaves_nothing_and_touches_no_other(tmp_path: Path):
    other = bring(tmp_path / "o", {"a/1.png": png(1), "b/2.png": png(2)}, name="other").dataset
    freeze_version(dataset=other)
    Item.objects.filter(dataset=other, key="b/2.png").delete()  # its version holds the bytes
    world = make_world("gone")
    Job.objects.filter(dataset=world.dataset).update(state="done")
    files = {"a/1.png": png(1), "b/2.png": png(2), "b/3.png": png(3)}
    upload = bring(tmp_path / "g", files, name="gone")
    place = RoundItem.objects.filter(round__dataset=world.dataset).earliest("pk")
    who = world.dataset.annotators.earliest("pk")
    Annotation.objects.create(round=place.round, item=place.item, annotator=who, answer="unsure")
    run = world.dataset.runs.first()
    assert run is not None
    arrays.save_run(run, {"probabilities": np.zeros((1, 2))})
    hashes = {n: hash_of(n) for n in (1, 2, 3)}
    shards.save_features("net", list(hashes.values()), vectors=np.eye(3))
    manifests = [version.digest for version in world.dataset.versions.all()]
    delete(world.dataset, by=make_member(world.dataset))
    assert not Dataset.objects.filter(pk=world.dataset.pk).exists()
    assert not Upload.objects.filter(pk=upload.pk).exists()
    assert not arrays.run_folder(run).exists()
    assert not any(storage.path_of(digest).exists() for digest in manifests)
    assert bytes_of(3) is None
    assert not storage.path_of(hashes[3]).exists()
    for kept in (1, 2):
        assert bytes_of(kept) is not None
        assert storage.read_bytes(hashes[kept]) == png(kept)
    assert set(arrays.known_contents("net")) == {hashes[1], hashes[2]}
    assert arrays.load_features("net", [hashes[2]]).tolist() == [[0, 1, 0]]
    assert other.items.count() == 1


def test_what_beat_and_pages_write_beside_a_deletion_does_not_stay(tmp_path: Path, settings: Any):
    data = settings.DATA_DIR
    other = bring(tmp_path / "o", {"a/1.png": png(1), "b/2.png": png(2)}, name="other").dataset
    first, _ = freeze_version(dataset=other)
    Item.objects.filter(key="a/1.png").update(split="test")
    freeze_version(dataset=other)
    gone = bring(tmp_path / "g", {"a/1.png": png(1)}, name="gone").dataset
    version, _ = freeze_version(dataset=gone)
    gone.refresh_from_db()  # beat has chosen the dataset, a page has read the version
    columns = columns_of(version)
    tasks.keep_facts()
    there = {path.name for path in data.glob("*/*") if path.parent.name in ("facts", "versions")}
    pk, number = gone.pk, version.pk
    delete(gone, by=make_member(gone))
    gone.pk, version.pk = pk, number
    facts.keep_measured(gone)
    version_columns.keep(version, columns)
    version_columns.keep_changes(first, version, {}, lines=version_columns.differing_from([]))
    assert (data / "facts" / f"{pk}.npz").exists()
    tasks.keep_facts()
    left = {path.name for path in data.glob("*/*") if path.parent.name in ("facts", "versions")}
    assert left == {name for name in there if not name.startswith((f"{pk}.", f"{number}-"))}
    assert len(left) == 5, "measurements of one dataset, columns of two versions, two of changes"


def test_only_an_owner_who_types_the_name_deletes_and_not_while_work_goes_on(
    client: Client, tmp_path: Path
):
    dataset = bring(tmp_path / "a", {"a/1.png": png(1), "b/2.png": png(2)}).dataset
    page = reverse("quality:delete_dataset", args=["pets"])
    client.force_login(make_member(dataset, Role.LEAD))
    assert client.post(page, {"typed": "pets"}).status_code == 403
    owner = make_member(dataset)
    client.force_login(owner)
    assert page in client.get(reverse("labeling:settings", args=["pets"])).content.decode()
    assert "2 items with their bytes" in client.get(page).content.decode()
    assert client.post(page, {"typed": "cats"}).status_code == 422
    busy = jobs.open_job(kind="train", dataset=dataset)
    assert f"Training (job {busy.pk})" in client.post(page, {"typed": "pets"}).content.decode()
    jobs.cancel_job(job=busy)
    response = client.post(page, {"typed": "pets"})
    job = Job.objects.get(kind="delete_dataset")
    assert response.url == job.get_absolute_url()
    assert client.get(job.get_absolute_url()).status_code == 200
    assert client.get(page).status_code == 404
    jobs.carry_out(job.pk, deleting.delete_dataset)
    assert not Dataset.objects.exists()
    assert client.get(job.get_absolute_url()).status_code == 200
    client.force_login(make_user())
    assert client.get(job.get_absolute_url()).status_code == 404


def test_a_file_without_a_measurement_that_is_new_is_made_anew(tmp_path: Path):
    dataset = bring(tmp_path / "a", {"cat/1.png": png(1)}).dataset
    dataset.refresh_from_db()
    assert facts.keep_measured(dataset)
    path = settings.DATA_DIR / "facts" / f"{dataset.pk}.npz"
    with np.load(path) as file:
        shards.save_arrays(path, {name: file[name] for name in file.files if name != "entropy"})
    assert facts.keep_measured(dataset), "it is of a Winnow that measured less"
    assert not facts.keep_measured(dataset)


@pytest.mark.parametrize("is_kept", [True, False])
def test_orders_by_a_measurement_know_items_as_they_come_and_go(tmp_path: Path, is_kept: bool):
    def measured_items() -> set[int]:
        if is_kept:
            tasks.keep_facts()
            facts.forget()  # as the web process does at its start
            assert not facts.keep_measured(Dataset.objects.get(slug="pets"))  # it is of now
        known = facts.measured(Dataset.objects.get(slug="pets"), "brightness")
        told = Item.objects.in_bulk(known.ids.tolist())
        brightness = [told[pk].content.facts["brightness"] for pk in known.ids.tolist()]
        assert known.values.tolist() == sorted(brightness) == brightness
        return {*known.ids.tolist(), *known.rest.tolist()}

    def there() -> set[int]:
        return set(Item.objects.values_list("pk", flat=True))

    first = bring(tmp_path / "a", {"cat/1.png": png(1), "dog/2.png": png(2)})
    assert measured_items() == there()
    second = bring(tmp_path / "b", {"more/cat/1.png": png(1), "new/dog/3.png": png(3)})
    assert measured_items() == there()
    assert differences.add_copies(upload=second) == 1
    assert measured_items() == there()
    carry_back(first)
    assert measured_items() == there() == set(first.dataset.items.values_list("pk", flat=True))
