"""A person's withdrawal of consent: bytes go everywhere, counts stay true."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling import shards, storage
from labeling.models import Annotation, Content, Dataset, Example, Item, Job, Role, UploadEntry
from labeling.models.items import WITHDRAWN
from labeling.queries.versions import counts_between
from labeling.services import contents, jobs, tombstones
from labeling.services.versions import columns_of, freeze_version, read_frozen, read_manifest
from labeling.version_columns import NONE
from quality import arrays, graphs
from quality.models import Action, Decision, Run
from quality.queries import exports
from quality.queries.changes import explained
from quality.services import selection, withdrawing
from tests.factories import make_asking, make_flag, make_member
from tests.labeling.test_intake import png
from tests.quality.test_ways_back import bring, hash_of
from tests.quality.words import make_words

SVG = "image/svg+xml"  # a picture that says so, where pages show one
pytestmark = pytest.mark.django_db(transaction=True)

LABELS = "file,label,group\n" + "".join(
    f"{name},{label},{who}\n"
    for name, label, who in (
        ("anna-1.png", "cat", "anna"),
        ("anna-2.png", "dog", "anna"),
        ("anna-3.png", "dog", "anna"),
        ("ben-1.png", "cat", "ben"),
        ("ben-2.png", "dog", "ben"),
        ("ben-same.png", "dog", "ben"),
    )
)
COLOURS = {"anna-1": 1, "anna-2": 2, "anna-3": 3, "ben-1": 4, "ben-2": 5, "ben-same": 3}


@pytest.fixture
def people(tmp_path: Path) -> Dataset:
    """Three pictures of Anna and three of Ben, of which one has the bytes of one of hers."""
    files = {f"{name}.png": png(colour) for name, colour in COLOURS.items()}
    table = tmp_path / "labels.csv"
    table.write_text(LABELS)
    columns = [f"--column={role}={role}" for role in ("file", "label", "group")]
    arguments = (f"--labels={table}", *columns, "--split-from=none")
    upload = bring(tmp_path / "a", files, *arguments)
    assert upload.dataset.items.count() == 6
    return upload.dataset


def withdraw(*arguments: str, name: str = "pets") -> dict[str, Any]:
    out = io.StringIO()
    call_command("withdraw", name, *arguments, "--yes", "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def stored(dataset: Dataset) -> list[Path]:
    return [path for path in storage.path_of("0" * 64).parents[1].glob("*/*") if path.is_file()]


def test_the_name_of_a_file_that_came_alone_leaves_its_import_and_the_inbox(
    people: Dataset, tmp_path: Path
):
    (tmp_path / "zoe-1.png").write_bytes(png(9))
    call_command("import_dataset", people.slug, str(tmp_path / "zoe-1.png"))
    assert people.notices.filter(words__contains="zoe-1.png").exists()
    withdraw("--key=zoe-1.png")
    assert not people.notices.filter(words__contains="zoe").exists()
    assert not people.uploads.filter(name__contains="zoe").exists()


def test_all_of_a_person_goes_but_what_somebody_else_has_as_well(people: Dataset):
    gone = [Content.objects.get(pk=hash_of(colour)) for colour in (1, 2)]
    shards.save_features("net", [hash_of(n) for n in range(1, 6)], vectors=np.eye(5))
    result = withdraw("--source", "anna")
    assert (result["items"], result["erased"], result["stayed"], result["vectors"]) == (3, 2, 1, 4)
    for content in gone:
        assert not Content.objects.filter(pk=content.pk).exists()
        assert not storage.path_of(content.pk).exists()
        assert not storage.path_of(content.preview).exists()
    assert storage.read_bytes(hash_of(3)) == png(3)  # Ben's picture has these bytes
    for kept in ("net", shards.SMALL_GREY):  # the import kept small pictures
        assert set(arrays.known_contents(kept)) == {hash_of(n) for n in (3, 4, 5)}
    left = people.items.filter(withdrawn_at__isnull=False)
    assert [item.label and item.label.name for item in left.order_by("pk")] == ["cat", "dog", "dog"]
    for item in left:
        assert item.key.startswith("withdrawn-")
        assert (item.content_id, item.source_group, item.metadata) == (WITHDRAWN, "", {})
    assert not UploadEntry.objects.filter(name__contains="anna").exists()
    assert people.items.filter(source_group="ben", excluded="").count() == 3


def test_one_key_takes_the_same_bytes_of_the_same_person_along(people: Dataset):
    Item.objects.filter(key="anna-2.png").update(content=hash_of(1))
    assert withdraw("--key", "anna-1.png")["items"] == 2
    assert people.items.filter(withdrawn_at=None, source_group="anna").count() == 1


def test_a_version_keeps_its_digest_and_counts_and_tells_nothing_of_the_person(people: Dataset):
    version, _ = freeze_version(dataset=people)
    counted = [(line["split"], line["label"]) for line in read_manifest(version)]
    lines = list(read_frozen(version))
    withdraw("--source", "anna")
    assert list(read_frozen(version)) == lines
    told = list(read_manifest(version))
    assert [(line["split"], line["label"]) for line in told] == counted
    assert "anna" not in json.dumps(told)
    keys = set(people.items.exclude(withdrawn_at=None).values_list("key", flat=True))
    assert {line["key"] for line in told if line["sha256"] == WITHDRAWN} == keys
    later, is_new = freeze_version(dataset=people)
    assert is_new
    assert later.items == 3
    assert counts_between(version, later).kinds == {"left_out": 3}
    shown = explained(version, later, kind="left_out", start=0, most=9)
    assert {row.item.key for row in shown if row.item} == keys
    assert not counts_between(version, version).total
    for form in ("csv", "jsonl"):
        text = b"".join(exports.pieces(people, "items", form=form, version=version)).decode()
        assert "anna" not in text
        assert text.count("consent") == 3
    content = b"".join(exports.pieces(people, "items", form="folders", version=version))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert set(archive.read("WITHDRAWN.txt").decode().split("\n")[1:-1]) == keys
    assert len([name for name in names if name.endswith(".png")]) == 3


def test_columns_kept_of_a_version_tell_no_longer_which_items_were_of_one_person(people: Dataset):
    version, _ = freeze_version(dataset=people)
    theirs = columns_of(version).sources[:3].tolist()
    assert len(set(theirs)) == 1
    withdraw("--source", "anna")
    columns = columns_of(version)
    gone = np.isin(columns.items, people.items.exclude(withdrawn_at=None).values_list("pk"))
    assert gone.sum() == 3
    assert (columns.sources == NONE).tolist() == gone.tolist()


def test_bytes_that_only_an_earlier_version_or_a_replacement_still_named_go_as_well(
    people: Dataset, tmp_path: Path
):
    freeze_version(dataset=people)
    bring(tmp_path / "b", {"anna-1.png": png(8), "x.png": png(9)}, "--replace")
    assert people.items.get(key="anna-1.png").content_id == hash_of(8)
    withdraw("--source", "anna")
    for colour in (1, 8):
        assert not storage.path_of(hash_of(colour)).exists()
    assert "anna" not in json.dumps(list(UploadEntry.objects.values_list("proposed", "reason")))


def test_pages_of_a_tombstone_answer_in_words(people: Dataset, client: Client):
    item, other = people.items.get(key="anna-1.png"), people.items.get(key="ben-1.png")
    client.force_login(make_member(people))
    asking = make_asking(people, [item, other])
    flag = make_flag(
        item,
        other,
        kind="near_duplicate",
        state="decided",
        reason="anna-1.png looks like ben-1.png",
        evidence={"keys": ["anna-1.png"]},
    )
    freeze_version(dataset=people)
    withdraw("--source", "anna")
    item.refresh_from_db()
    for what, mime in (("original", "text/plain"), ("preview", SVG), ("display", SVG)):
        answer = client.get(reverse("labeling:media", args=["pets", item.pk, what]))
        assert (answer.status_code, answer["Content-Type"]) == (404, mime)
        assert "consent" in answer.content.decode()
    page = client.get(reverse("quality:item", args=["pets", item.pk])).content.decode()
    assert "Consent for this item was withdrawn" in page
    assert "anna" not in page
    closed = client.get(reverse("quality:flag", args=["pets", "near_duplicate", flag.pk])).text
    assert "a copy of what was withdrawn" in closed
    assert reverse("quality:item", args=["pets", other.pk]) not in closed
    files = client.get(reverse("quality:item_in_files", args=["pets", item.pk]))
    assert "v1" in files.content.decode()
    shown = client.get(reverse("quality:browse", args=["pets"]) + "?excluded=1").content.decode()
    assert shown.count("Consent withdrawn") == 3
    for name, arguments in (
        ("quality:overview", ()), ("quality:review", ()), ("labeling:versions", ()),
        ("quality:report", ()),
        ("quality:flag", ("near_duplicate", flag.pk)), ("labeling:round", (asking.pk,)),
        ("labeling:annotate", (asking.pk,)), ("quality:checks", ()),
    ):  # fmt: skip
        slug = () if name == "labeling:annotate" else ("pets",)
        address = reverse(name, args=[*slug, *arguments])
        answer = client.get(address)
        assert answer.status_code == 200, name
        assert "anna-" not in answer.content.decode(), name
    call_command("report", "pets", "--out", str(Path(storage.path_of(WITHDRAWN)).parents[2] / "r"))


def test_nothing_brings_a_tombstone_back(people: Dataset, tmp_path: Path):
    item, owner = people.items.get(key="anna-1.png"), make_member(people)
    chosen = selection.Selection(people, [item.pk], by=owner)
    excluded = selection.exclude(chosen, reason="blurred")
    Example.objects.create(dataset=people, item=item, label=item.label)
    withdraw("--source", "anna")
    assert not Example.objects.exists()
    with pytest.raises(selection.NothingToChangeError):
        selection.include(chosen)
    assert selection.undo(excluded, by=owner).left == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        Item.objects.filter(pk=item.pk).update(excluded="")
    kept = Decision.objects.filter(action=Action.EXCLUDE).values_list("before", "after")
    assert "anna" not in json.dumps(list(kept))
    upload = bring(tmp_path / "again", {"anna-1.png": png(1), "new.png": png(7)})
    entry = upload.entries.get(name="anna-1.png")
    assert (entry.outcome, entry.code) == ("rejected", "consent_withdrawn")
    assert not storage.path_of(hash_of(1)).exists()
    assert people.items.filter(key="new.png").exists()


@pytest.mark.both_databases
def test_the_page_opens_before_anybody_is_named(people: Dataset, client: Client):
    client.force_login(make_member(people, Role.OWNER))
    assert client.get(reverse("quality:withdraw", args=["pets"])).status_code == 200


def test_it_is_an_owner_who_types_the_name(people: Dataset, client: Client):
    item = people.items.get(key="anna-1.png")
    page = reverse("quality:withdraw", args=["pets"])
    client.force_login(make_member(people, Role.LEAD))
    assert client.post(page, {"items": item.pk, "typed": "pets"}).status_code == 403
    client.force_login(make_member(people))
    browse = client.get(reverse("quality:browse", args=["pets"]) + "?group=anna").content.decode()
    assert f"{page}?group=anna" in browse
    words = client.get(f"{page}?group=anna").content.decode()
    assert "3 items lose all" in words
    assert "ben-same.png" in words
    words = client.post(page, {"items": item.pk}).content.decode()
    assert "One item loses all" in words
    assert client.post(page, {"items": item.pk, "typed": "dogs"}).status_code == 422
    assert not people.items.exclude(withdrawn_at=None).exists()
    busy = jobs.open_job(kind="import", dataset=people)
    refused = client.post(page, {"items": item.pk, "typed": "pets"}).content.decode()
    assert f"Import (job {busy.pk})" in refused
    jobs.cancel_job(job=busy)
    sent = client.post(page, {"items": item.pk, "scope": "people", "typed": "pets"})
    job = Job.objects.get(kind=withdrawing.KIND)
    assert sent.url == reverse("quality:withdrawn", args=["pets", job.pk])
    assert "is being deleted" in client.get(sent.url).text
    # Out of sight from now on, though no worker has begun yet.
    assert (
        client.get(reverse("labeling:media", args=["pets", item.pk, "original"])).status_code == 404
    )
    assert people.items.exclude(withdrawn_at=None).count() == 3
    jobs.carry_out(job.pk, withdrawing.withdraw)
    assert not storage.path_of(hash_of(1)).exists()
    assert client.get(f"{page}?group=anna").status_code == 200


def test_afterwards_the_page_says_what_was_deleted_what_stands_and_what_comes_next(
    people: Dataset, client: Client
):
    first, _ = freeze_version(dataset=people)
    Item.objects.filter(key="ben-1.png").update(split="test")
    second, _ = freeze_version(dataset=people)
    run = Run.objects.create(
        dataset=people, number=1, version=second, backbone="b", classes=["cat", "dog"],
        protocol={}, metrics={}, finished_at=timezone.now(),
    )  # fmt: skip
    withdraw("--source", "anna")
    job = Job.objects.get(kind=withdrawing.KIND)
    assert job.result["versions"] == {str(first.number): 3, str(second.number): 3}
    client.force_login(make_member(people))
    page = client.get(reverse("quality:withdrawn", args=["pets", job.pk])).text
    assert "Consent withdrawn for 3 items" in page
    assert "2 files or texts" in page
    assert "one stays, because somebody else" in page
    for item in people.items.exclude(withdrawn_at=None):
        assert reverse("quality:item", args=["pets", item.pk]) in page
    assert "train again" in page
    assert reverse("quality:run", args=["pets", run.number]) in page
    assert "anna" not in page
    assert (
        reverse("quality:withdrawn", args=["pets", job.pk])
        in client.get(job.get_absolute_url()).text
    )
    other = jobs.open_job(kind="train", dataset=people)
    for gone in (other.pk, 999):
        assert client.get(reverse("quality:withdrawn", args=["pets", gone])).status_code == 404


def test_a_withdrawal_of_what_no_version_held_says_so(people: Dataset, client: Client):
    withdraw("--key", "ben-1.png")
    client.force_login(make_member(people))
    job = Job.objects.get(kind=withdrawing.KIND)
    page = client.get(reverse("quality:withdrawn", args=["pets", job.pk])).text
    assert "no frozen version held these items" in page
    assert "train again" not in page


def test_who_is_not_there_is_named_and_nobody_confirming_deletes_nothing(
    people: Dataset, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(CommandError, match="none of: 'carl'"):
        withdraw("--source", "carl")
    with pytest.raises(CommandError, match="Say whose"):
        withdraw()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="Nobody confirmed"):
        call_command("withdraw", "pets", "--source", "anna")
    assert not people.items.exclude(withdrawn_at=None).exists()


def test_an_attempt_after_a_killed_one_goes_on_also_with_files_gone(people: Dataset):
    freeze_version(dataset=people)
    pks = list(people.items.filter(source_group="anna").values_list("pk", flat=True))
    job = withdrawing.open_withdrawal(dataset=people, items=pks, typed="pets", by=None)
    storage.path_of(hash_of(1)).unlink()  # the bytes went, then the worker was killed
    claimed = jobs.claim(job.pk)
    assert claimed is not None
    withdrawing._forget_names(people, pks)
    Job.objects.filter(pk=job.pk).update(lease_until=claimed.started_at)
    done = jobs.carry_out(job.pk, withdrawing.withdraw)
    assert done is not None
    assert done.state == "done", done.error
    assert not Content.objects.filter(pk__in=[hash_of(1), hash_of(2)]).exists()
    assert not storage.path_of(hash_of(2)).exists()


def test_what_an_attempt_erased_before_it_was_killed_is_told_of_as_well(people: Dataset):
    pks = list(people.items.filter(source_group="anna").values_list("pk", flat=True))
    job = withdrawing.open_withdrawal(dataset=people, items=pks, typed="pets", by=None)
    contents.erase_unused([hash_of(1)])
    done = jobs.carry_out(job.pk, withdrawing.withdraw)
    assert done is not None
    assert (done.result["erased"], done.result["stayed"]) == (2, 1)


def test_models_leave_the_person_out_and_before_after_still_compares():
    dataset = make_words("said", items=60, test_items=24)
    dataset.items.filter(key="0061").update(source_group="t15")
    call_command("train", "said")
    call_command("detect", "said")
    graph_there = graphs.has_graph(dataset.pk)
    texts = list(
        Content.objects.filter(items__source_group__in=["s2", "t15"]).values_list("pk", flat=True)
    )
    result = withdraw("--source", "s2", "--source", "t15", name="said")
    assert graph_there
    assert not graphs.has_graph(dataset.pk)
    assert result["erased"] == len(texts) == result["items"]
    assert not Content.objects.filter(pk__in=texts).exists()
    call_command("detect", "said")
    Run.objects.all().delete()  # so that the earlier version is learned anew as well
    freeze_version(dataset=dataset)
    out = io.StringIO()
    call_command("prove", "said", "1", "2", "--json", stdout=out)
    found = json.loads(out.getvalue().splitlines()[-1])
    assert found["n"] == 24 - dataset.items.exclude(withdrawn_at=None).filter(split="test").count()
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
    assert not set(arrays.known_contents(Run.objects.latest("pk").backbone)) & {*texts, WITHDRAWN}


def test_answers_stay_and_count(people: Dataset):
    item, person = people.items.get(key="anna-1.png"), people.annotators.create(name="outside")
    asking = make_asking(people, [item])
    Annotation.objects.create(
        round=asking, item=item, annotator=person, answer="class", label=item.label
    )
    withdraw("--source", "anna")
    rows = b"".join(exports.pieces(people, "annotations", form="csv")).decode()
    assert tombstones.tombstone_key(people.pk, "anna-1.png") in rows
    assert "anna" not in rows
    labels = b"".join(exports.pieces(people, "labels", form="csv")).decode()
    assert "withdrawn" not in labels  # as its page promises: later exports leave the items out
    assert labels.count("\n") == 1 + people.items.filter(withdrawn_at=None).count()
