"""What an import makes of items, labels and splits that are there already."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from labeling.models import (
    Dataset,
    Item,
    LabelClass,
    LabelSource,
    Role,
    Upload,
)
from labeling.services import labels
from labeling.services.intake import differences, splitting
from labeling.services.versions import freeze_version
from tests.factories import make_dataset, make_member
from tests.labeling.test_intake import CLIPS, entry, folder, packed, png, run

pytestmark = pytest.mark.django_db


def test_the_same_bytes_under_new_keys_are_matched_and_not_added(tmp_path: Path, capsys: Any):
    files = {"cat/1.png": png(1), "cat/2.png": png(2), "dog/3.png": png(3), "dog/copy.png": png(3)}
    assert run(folder(tmp_path / "a", files), capsys)["imported"] == 4  # copies within one import
    moved = {f"clips/{name}": content for name, content in files.items()}
    root = folder(tmp_path / "b", moved | {"clips/cat/4.png": png(4)})
    table = "file,label,speaker\n" + "".join(f"{n},cat,anna\n" for n in moved)
    (root / "labels.csv").write_text(table + "clips/cat/4.png,cat,anna\n")
    again = run(root, capsys)
    assert (again["imported"], again["elsewhere"], Item.objects.count()) == (1, 4, 5)
    met = entry("clips/dog/copy.png")
    assert (met.outcome, met.code) == ("different", "other_key")
    assert met.item is not None
    assert met.item.key == "dog/copy.png"
    assert met.item.key in met.reason
    upload = Upload.objects.latest("pk")
    assert differences.add_copies(upload=upload) == 4
    assert differences.add_copies(upload=upload) == 0
    added = Item.objects.get(key="clips/dog/copy.png")
    assert (str(added.label), added.source_group, added.split) == ("cat", "anna", met.item.split)
    assert run(root, capsys)["unchanged"] == 5


def test_an_import_may_say_that_copies_are_meant(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"cat/1.png": png(1)}), capsys)
    other = folder(tmp_path / "b", {"pets/cat/1.png": png(1), "more/dog/2.png": png(2)})
    met = run(other, capsys)
    assert (met["elsewhere"], met["imported"]) == (1, 1)
    assert run(other, capsys, "--add-copies")["imported"] == 1


def test_a_renamed_copy_and_a_leak_into_another_split_become_items(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"train/cat/1.png": png(1), "train/dog/2.png": png(2)}), capsys)
    later = {"test/cat/1.png": png(1), "train/cat/other.png": png(2), "test/dog/3.png": png(3)}
    assert run(folder(tmp_path / "b", later), capsys)["imported"] == 3
    assert Item.objects.get(key="test/cat/1.png").split == "test"


def test_other_bytes_under_a_key_are_a_conflict_until_replaced(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "one", {"cat/1.png": png(1), "dog/2.png": png(2)}), capsys)
    kept = Item.objects.get(key="cat/1.png").content_id
    other = folder(tmp_path / "two", {"cat/1.png": png(9), "dog/2.png": png(2)})
    assert run(other, capsys)["conflict"] == 1
    assert Item.objects.get(key="cat/1.png").content_id == kept
    assert differences.replace_conflicts(upload=Upload.objects.latest("pk")) == 1
    assert Item.objects.get(key="cat/1.png").content_id != kept
    assert run(tmp_path / "one", capsys, "--replace")["replaced"] == 1
    assert Item.objects.get(key="cat/1.png").content_id == kept


def test_under_a_second_reviewer_another_lead_takes_over_what_changes_test_items(
    client: Client, tmp_path: Path, capsys: Any
):
    files = {"train/cat/1.png": png(1), "test/cat/2.png": png(2), "test/dog/3.png": png(3)}
    run(folder(tmp_path / "one", files), capsys)
    dataset = Dataset.objects.get()
    ann, bob = make_member(dataset, Role.LEAD, "ann"), make_member(dataset, Role.LEAD, "bob")
    Dataset.objects.update(has_second_reviewer=True)
    was = dict(dataset.items.values_list("key", "content"))
    other = {"train/cat/1.png": png(11), "test/cat/2.png": png(12), "test/dog/3.png": png(3)}
    root = folder(tmp_path / "two", other)
    (root / "labels.csv").write_text(
        "file,label\ntrain/cat/1.png,cat\ntest/cat/2.png,cat\ntest/dog/3.png,cat\n"
    )
    result = run(root, capsys, "--replace")
    assert (result["replaced"], result["conflict"], result["different"]) == (1, 1, 1)
    assert entry("test/cat/2.png").code == "test_item"
    Upload.objects.update(by=ann)
    page = reverse("labeling:upload", args=[dataset.slug, Upload.objects.latest("pk").pk])
    apply = reverse("labeling:apply_upload", args=[dataset.slug, Upload.objects.latest("pk").pk])
    for who in (ann, bob):
        client.force_login(who)
        assert ("2 of these change test items" in client.get(page).text) == (who == ann)
        for what in ("conflicts", "differences"):
            client.post(apply, {"what": what})
        now = dict(dataset.items.values_list("key", "content"))
        changed = {key for key, content in now.items() if content != was[key]}
        alone, both = {"train/cat/1.png"}, {"train/cat/1.png", "test/cat/2.png"}
        assert changed == (alone if who == ann else both)
        assert dataset.items.get(key="test/dog/3.png").label.name == (
            "dog" if who == ann else "cat"
        )


def test_under_a_second_reviewer_a_report_merges_no_class_of_test_items(
    client: Client, tmp_path: Path, capsys: Any
):
    files = {"train/cat/1.png": png(1), "train/Cat_/2.png": png(2), "test/Cat_/3.png": png(3)}
    run(folder(tmp_path / "a", files), capsys)
    dataset, upload = Dataset.objects.get(), Upload.objects.get()
    old, new = dataset.classes.get(name="Cat_"), dataset.classes.get(name="cat")
    client.force_login(make_member(dataset, Role.LEAD))
    apply = reverse("labeling:apply_upload", args=[dataset.slug, upload.pk])
    asked = {"what": "merge", "old": old.pk, "new": new.pk}
    Dataset.objects.update(has_second_reviewer=True)
    assert "nobody gives alone here" in client.post(apply, asked, follow=True).text
    assert dataset.items.filter(label=old).count() == 2
    Dataset.objects.update(has_second_reviewer=False)
    client.post(apply, asked)
    assert not dataset.items.filter(label=old).exists()
    Dataset.objects.update(has_second_reviewer=True)
    assert (
        "nobody gives alone" in client.post(apply, {**asked, "what": "unmerge"}, follow=True).text
    )
    assert not dataset.items.filter(label=old).exists()


def test_other_labels_wait_for_a_person_and_never_beat_one(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"1.png": png(1), "2.png": png(2)}), capsys)
    dataset = Dataset.objects.get()
    for name in ("cat", "dog"):
        LabelClass.objects.create(dataset=dataset, name=name)
    cat = dataset.classes.get(name="cat")
    reviewed = dataset.items.get(key="2.png")
    labels.set_labels(labels={reviewed.pk: cat}, source=LabelSource.REVIEW)
    table = tmp_path / "labels.csv"
    table.write_text("file,label,camera\n1.png,dog,K1\n2.png,dog,\n")
    result = run(tmp_path / "a", capsys, "--labels", str(table))
    assert (result["different"], result["unchanged"]) == (1, 1)
    assert entry("2.png").code == "label_by_people"
    assert dataset.items.get(key="1.png").label is None
    assert differences.apply_differences(upload=Upload.objects.latest("pk")).items == 1
    changed = dataset.items.get(key="1.png")
    assert (changed.label.name, changed.metadata) == ("dog", {"camera": "K1"})
    assert dataset.items.get(key="2.png").label == cat


def test_an_unknown_class_is_offered_to_be_added(tmp_path: Path, capsys: Any):
    make_dataset("pets", classes=("cat",))
    root = folder(tmp_path / "a", {"cat/1.png": png(1), "owl/2.png": png(2), "owl/3.png": png(3)})
    assert run(root, capsys)["imported"] == 3
    assert Item.objects.filter(label__isnull=True).count() == 2
    upload = Upload.objects.latest("pk")
    assert differences.add_classes(upload=upload, names=["owl"]) == 2
    assert Item.objects.filter(label__name="owl").count() == 2


def test_a_split_is_proposed_once_and_can_be_taken_back(tmp_path: Path, capsys: Any):
    files = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(40)}
    result = run(folder(tmp_path / "a", files), capsys)
    assert result["split"]["proposed"]
    assert set(Item.objects.values_list("split", flat=True)) == {"train", "validation", "test"}
    assert splitting.remove_proposed(upload=Upload.objects.get()) == 40
    assert set(Item.objects.values_list("split", flat=True)) == {"none"}
    assert run(tmp_path / "a", capsys, "--split-from", "none", name="bare")["split"] == {}


def name_sources(tmp_path: Path, capsys: Any) -> Upload:
    """Import 40 clips of 10 people without saying so, then a table that names the people."""
    files = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(40)}
    root = folder(tmp_path / "a", files)
    run(root, capsys)
    table = tmp_path / "people.csv"
    lines = [f"{name},p{place // 4}" for place, name in enumerate(files)]
    table.write_text("\n".join(["file,speaker", *lines]))
    assert run(root, capsys, "--labels", str(table))["different"] == 40
    return Upload.objects.latest("pk")


def divided() -> set[str]:
    """Return the sources whose items are in several splits."""
    splits: dict[str, set[str]] = {}
    for source, split in Item.objects.values_list("source_group", "split"):
        splits.setdefault(source, set()).add(split)
    return {source for source, found in splits.items() if len(found) > 1}


def test_a_proposed_split_follows_sources_that_are_named_later(tmp_path: Path, capsys: Any):
    upload = name_sources(tmp_path, capsys)
    assert differences.apply_differences(upload=upload).items == 40
    assert not divided()
    assert set(Item.objects.values_list("split", flat=True)) >= {"train", "test"}
    assert upload.options["split_again"] == "done"
    first = Upload.objects.earliest("pk")
    assert sum(first.options["result"]["split"]["counts"].values()) == 40


@pytest.mark.parametrize("what", ["version", "move"])
def test_a_split_that_was_built_on_waits_for_a_leads_word(tmp_path: Path, capsys: Any, what: str):
    upload = name_sources(tmp_path, capsys)
    if what == "version":
        freeze_version(dataset=upload.dataset)
    else:
        moved = Item.objects.filter(split="train").values_list("pk", flat=True)[:1]
        labels.move_items(items=moved, split="test")
    before = dict(Item.objects.values_list("pk", "split"))
    differences.apply_differences(upload=upload)
    assert dict(Item.objects.values_list("pk", "split")) == before
    assert upload.options["split_again"] == "ignores"
    assert divided()
    assert splitting.propose_again(upload=upload) == 40
    assert not divided()


@pytest.mark.parametrize("n_a_source", [4, 20])
def test_of_a_split_that_was_given_no_import_says_that_it_was_proposed(
    tmp_path: Path, capsys: Any, n_a_source: int
):
    files = {
        f"{'train' if n < 20 else 'test'}/{'cat' if n % 2 else 'dog'}/{n}.png": png(n)
        for n in range(40)
    }
    root = folder(tmp_path / "a", files)
    run(root, capsys)
    lines = [f"{name},p{(n + 2) // n_a_source}" for n, name in enumerate(files)]
    (tmp_path / "b.csv").write_text("\n".join(["file,speaker", *lines]))
    run(root, capsys, "--labels", str(tmp_path / "b.csv"))
    upload = Upload.objects.latest("pk")
    assert differences.apply_differences(upload=upload).items == 40
    assert divided()
    assert not upload.options["split_again"]


def test_a_proposal_that_no_source_is_torn_by_is_left_in_peace(tmp_path: Path, capsys: Any):
    upload = name_sources(tmp_path, capsys)
    freeze_version(dataset=upload.dataset)
    for n, split in enumerate(("train", "test")):
        half = [f"p{each}" for each in range(10) if each % 2 == n]
        keys = upload.entries.filter(proposed__group__in=half).values_list("item_id", flat=True)
        labels.move_items(items=list(keys), split=split)
    assert differences.apply_differences(upload=upload).items == 40
    assert not divided()
    assert not upload.options["split_again"]


def test_the_splits_of_a_later_table_end_a_proposal(tmp_path: Path, capsys: Any):
    files = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(40)}
    root = folder(tmp_path / "a", files)
    run(root, capsys)
    lines = [f"{name},p{n // 4},{'test' if n % 4 else 'train'}" for n, name in enumerate(files)]
    (tmp_path / "b.csv").write_text("\n".join(["file,speaker,split", *lines]))
    run(root, capsys, "--labels", str(tmp_path / "b.csv"))
    upload = Upload.objects.latest("pk")
    differences.apply_differences(upload=upload)
    named = dict(Item.objects.values_list("pk", "split"))
    assert Counter(named.values()) == {"test": 30, "train": 10}
    assert not upload.options.get("split_again")
    assert splitting.propose_again(upload=upload) == 0
    assert splitting.remove_proposed(upload=Upload.objects.earliest("pk")) == 0
    assert dict(Item.objects.values_list("pk", "split")) == named


def later(tmp_path: Path, capsys: Any, *arguments: str) -> dict[str, Any]:
    """Import 40 items in splits, then six of known sources and four others without any split."""
    known = [f"train/cat/{n}.png,ann,train" for n in range(30)]
    known += [f"test/dog/{n}.png,bob,test" for n in range(30, 40)]
    files = {row.partition(",")[0]: png(n) for n, row in enumerate(known)}
    table = "\n".join(["file,speaker,split", *known])
    run(folder(tmp_path / "a", {**files, "labels.csv": table.encode()}), capsys)
    new = [
        f"cat/{n}.png,{'ann' if n < 43 else 'bob' if n < 46 else f'p{n}'}" for n in range(40, 50)
    ]
    files = {row.partition(",")[0]: png(n) for n, row in enumerate(new, 40)}
    table = "\n".join(["file,speaker", *new])
    root = folder(tmp_path / "b", {**files, "labels.csv": table.encode()})
    return run(root, capsys, *arguments)


def splits_of(*sources: str) -> set[str]:
    new = Item.objects.filter(key__startswith="cat/", source_group__in=sources)
    return set(new.values_list("split", flat=True))


def test_items_of_a_later_import_join_the_split_of_their_source(tmp_path: Path, capsys: Any):
    result = later(tmp_path, capsys)
    assert result["split"]["counts"] == {"train": 7}
    assert result["split"]["for_test"] == 3
    assert splits_of("ann") == {"train"}
    assert splits_of("bob") == {"none"}, "the test split stays sealed until a person says so"
    assert splits_of("p46", "p47", "p48", "p49") == {"train"}
    upload = Upload.objects.latest("pk")
    assert splitting.join_test(upload=upload) == 3
    assert splits_of("bob") == {"test"}
    assert splitting.join_test(upload=upload) == 0
    assert splitting.remove_proposed(upload=upload) == 10
    assert splits_of("ann", "bob", "p46") == {"none"}
    assert Item.objects.exclude(split="none").count() == 40


def test_the_test_split_grows_with_an_import_that_says_so(tmp_path: Path, capsys: Any):
    result = later(tmp_path, capsys, "--grow-test")
    assert result["split"]["counts"] == {"train": 7, "test": 3}
    assert splits_of("bob") == {"test"}


def test_a_dataset_that_was_left_without_splits_stays_so(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"cat/1.png": png(1)}), capsys, "--split-from", "none")
    assert run(folder(tmp_path / "b", {"cat/2.png": png(2)}), capsys)["split"] == {}


def test_a_class_that_is_out_of_use_is_not_added_again(tmp_path: Path, capsys: Any):
    files = folder(tmp_path / "in", {"cat/1.png": png(1), "dog/2.png": png(2)})
    run(files, capsys)
    upload = Upload.objects.get()
    LabelClass.objects.filter(name="dog").update(retired_at="2026-01-01T00:00:00Z", key="")
    assert differences.add_classes(upload=upload, names=["dog"]) == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_comes_back_as_it_was(tmp_path: Path, capsys: Any, form: str):
    files = {"=1+1.png": png(1), "-2.png": png(2), "'=3.png": png(3)}
    table = "key,label,speaker,note\n=1+1.png,@cat,ann,=A1\n-2.png,dog,bob,\n'=3.png,dog,bob,'=x\n"
    root = folder(tmp_path / "root", files | {"labels.csv": table.encode()})
    run(root, capsys)
    before = list(Item.objects.order_by("key").values("key", "source_group", "metadata", "label"))
    assert before[2]["metadata"] == {"note": "=A1"}
    (root / "labels.csv").unlink()
    out = tmp_path / f"out.{form}"
    call_command("export", "pets", "--format", form, "--out", str(out))
    result = run(root, capsys, "--labels", str(out))
    assert (result["unchanged"], result["rejected"]) == (3, 0)
    run(root, capsys, "--labels", str(out), name="others")
    again = Item.objects.filter(dataset__slug="others").order_by("key")
    assert [(i.key, i.source_group, i.metadata) for i in again] == [
        (row["key"], row["source_group"], row["metadata"]) for row in before
    ]


def test_exported_labels_make_no_source_groups(tmp_path: Path, capsys: Any):
    root = folder(tmp_path / "root", {"cat/1.png": png(1), "dog/2.png": png(2)})
    run(root, capsys)
    out = tmp_path / "labels.csv"
    call_command("export", "pets", "--what", "labels", "--out", str(out))
    assert run(root, capsys, "--labels", str(out))["unchanged"] == 2
    assert set(Item.objects.values_list("source_group", flat=True)) == {""}


def test_labels_come_later_from_a_table_alone(tmp_path: Path, capsys: Any):
    run(packed(tmp_path / "a.zip", CLIPS | {"b/9.png": png(9)}), capsys, "--split-from", "none")
    Item.objects.update(label=None, label_source=LabelSource.NONE)
    table = tmp_path / "later.csv"
    table.write_text("key,label,group\nclips/1.png,b,ann\n2.png,clips,bob\n77.png,b,eve\n")
    result = run(table, capsys)
    assert (result["different"], result["rejected"], result["imported"]) == (2, 1, 0)
    assert not Item.objects.filter(label__isnull=False).exists()
    differences.apply_differences(upload=Upload.objects.latest("pk"))
    said = Item.objects.filter(label__isnull=False).order_by("key")
    assert [(i.key, i.label.name, i.source_group) for i in said] == [
        ("clips/1.png", "b", "ann"),
        ("clips/2.png", "clips", "bob"),
    ]
    assert run(table, capsys)["unchanged"] == 2


def test_a_proposed_split_is_made_anew_by_the_first_labels(tmp_path: Path, capsys: Any):
    lines = [f"m{n},words {n},{'late' if n < 40 else 'early'}" for n in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["id,message,topic", *lines]) + "\n")
    result = run(tmp_path / "t.csv", capsys, name="mails")
    assert result["split"]["reason"] == "Shuffled."
    assert run(tmp_path / "t.csv", capsys, "--column", "label=topic", name="mails")["different"]
    upload = Upload.objects.latest("pk")
    differences.apply_differences(upload=upload)
    upload.refresh_from_db()
    assert upload.options["split_again"] == "by_labels"
    tested = Counter(Item.objects.filter(split="test").values_list("label__name", flat=True))
    assert tested == {"late": 6, "early": 6}


def test_columns_tell_by_their_cells_that_they_hold_splits_and_labels(tmp_path: Path, capsys: Any):
    make_dataset("pets", classes=("cat", "dog"))
    files = {f"clips/{n}.png": png(n) for n in range(1, 7)}
    rows = [
        f"{n}.png,{'Cat' if n % 2 else 'dog'},{'test' if n > 4 else 'train'}," for n in range(1, 7)
    ]
    table = "\n".join(["picture,animal,part,note", *rows, "7.png,horse,train,"]) + "\n"
    result = run(folder(tmp_path / "a", files | {"t.csv": table.encode()}), capsys)
    assert result["roles"] == {"key": "picture", "split": "part", "label": "animal"}
    assert str(Item.objects.get(key="5.png").label) == "cat"
    assert Item.objects.get(key="5.png").split == "test"


def test_texts_get_labels_from_a_table_without_texts(tmp_path: Path, capsys: Any):
    (tmp_path / "t.csv").write_text(
        "id,message,topic,customer\n"
        + "".join(f"m{n},words {n},{n % 2},c{n // 2}\n" for n in range(8))
    )
    result = run(tmp_path / "t.csv", capsys, name="mails")
    assert result["label_choices"] == ["topic", "customer"]
    (tmp_path / "later.csv").write_text("id,label\nm1,late\nm2,early\n")
    assert run(tmp_path / "later.csv", capsys, name="mails")["different"] == 2
    assert Item.objects.count() == 8
