"""The demo plants real-looking data with faults that are exactly known."""

import csv
import io
import json
import subprocess
import sys
import wave
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quality.demo.digits import plant_digits
from quality.demo.planting import Plan
from quality.demo.tones import RATE, SHARED_SOURCE, plant_tones
from quality.demo.truth import (
    GOOD,
    NOT_PLANTED,
    ON_ANOTHER_FAULT,
    REJECTED,
    Planted,
    compare,
    read_truth,
)

PLANTERS = {"digits": plant_digits, "tones": plant_tones}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plant_digits(tmp_path_factory.mktemp("digits"), seed=0)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plant_tones(tmp_path_factory.mktemp("tones"), seed=0)


def planted(plan: Plan, kind: str, what: str = "") -> list[Planted]:
    return [p for p in plan.truth if p.kind == kind and what in p.what]


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def listen(plan: Plan, key: str) -> np.ndarray:
    with wave.open(str(plan.folder / key), "rb") as file:
        assert file.getframerate() == RATE
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return samples / 32768


def manifest(plan: Plan) -> dict[str, dict[str, str]]:
    assert plan.labels_csv is not None
    with plan.labels_csv.open(encoding="utf-8", newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("name", ["digits", "tones"])
def test_the_same_seed_plants_the_same_bytes_and_another_seed_others(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first: Plan = request.getfixturevalue(name)
    again = PLANTERS[name](tmp_path / "again", seed=0)
    other = PLANTERS[name](tmp_path / "other", seed=1)
    assert content(again.folder.parent) == content(first.folder.parent)
    assert again.truth == first.truth
    assert set(content(other.folder).values()).isdisjoint(
        # Digital silence of one length sounds the same under any seed.
        value
        for value in content(first.folder).values()
        if any(value[44:])
    )


@pytest.mark.parametrize("name", ["digits", "tones"])
def test_the_truth_names_files_that_exist_and_is_kept_beside_them(
    name: str, request: pytest.FixtureRequest
) -> None:
    plan: Plan = request.getfixturevalue(name)
    assert read_truth(plan.truth_json) == plan.truth
    assert plan.truth_json.parent == plan.folder.parent
    for fault in plan.truth:
        for key in fault.keys:
            assert (plan.folder / key).is_file()
    numbers = [path.stem for path in plan.folder.rglob("*") if path.is_file()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("name", ["digits", "tones"])
def test_folders_are_splits_and_declared_classes(name: str, request: pytest.FixtureRequest) -> None:
    plan: Plan = request.getfixturevalue(name)
    places = {path.relative_to(plan.folder).parts[:2] for path in plan.folder.glob("*/*")}
    assert places == {(split, c.name) for split in ("train", "test") for c in plan.classes}
    assert len({c.key for c in plan.classes}) == len(plan.classes)


@pytest.mark.parametrize(("name", "low", "high"), [("digits", 0.055, 0.085), ("tones", 0.05, 0.07)])
def test_the_planned_share_of_train_labels_is_wrong(
    name: str, low: float, high: float, request: pytest.FixtureRequest
) -> None:
    plan: Plan = request.getfixturevalue(name)
    train = [key for key in content(plan.folder) if key.startswith("train/")]
    wrong = planted(plan, "label_error")
    assert low < len(wrong) / len(train) < high
    for fault in wrong:
        split, label, _ = fault.keys[0].split("/")
        assert split == "train"
        assert label != fault.right_label in {c.name for c in plan.classes}


def test_a_third_of_the_wrong_digits_are_natural_mistakes(digits: Plan) -> None:
    alike = planted(digits, "label_error", "look-alike")
    assert 0.2 < len(alike) / len(planted(digits, "label_error")) < 0.5


def test_the_given_label_of_a_digit_follows_from_its_answers(digits: Plan) -> None:
    assert digits.annotations_csv is not None
    answers = defaultdict(list)
    with digits.annotations_csv.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            answers[row["item"]].append(row["answer"])
    asked = Counter(len(given) for given in answers.values())
    assert asked == {3: 300, 1: 540}
    for key, given_answers in answers.items():
        most = Counter(given_answers).most_common()
        tied = {answer for answer, count in most if count == most[0][1]}
        assert key.split("/")[1] in tied


def test_a_copied_digit_shows_the_same_picture_but_other_bytes_unless_exact(digits: Plan) -> None:
    for fault in planted(digits, "near_duplicate") + planted(digits, "leakage"):
        one, other = (digits.folder / key for key in fault.keys)
        same = one.read_bytes() == other.read_bytes()
        assert same == ("exact" in fault.what) or "another label" in fault.what
        if fault.what in ("re-encoded", "brightened"):
            small = [np.asarray(Image.open(p).convert("L").resize((12, 12))) for p in (one, other)]
            assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.99
    assert {len(planted(digits, "near_duplicate", what)) for what in ("shift", "mirror")} == {6}


def test_a_leaked_digit_stands_in_both_splits_and_two_carry_two_labels(digits: Plan) -> None:
    leaks = planted(digits, "leakage")
    assert len(leaks) == 8
    for fault in leaks:
        (split, label, _), (other_split, other_label, _) = (key.split("/") for key in fault.keys)
        assert (split, other_split) == ("train", "test")
        assert (label != other_label) == ("another label" in fault.what)
    assert len(planted(digits, "leakage", "another label")) == 2


def test_the_odd_files_are_what_the_truth_says(digits: Plan) -> None:
    (truncated,) = planted(digits, REJECTED)
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO((digits.folder / truncated.keys[0]).read_bytes())).load()
    (misnamed,) = planted(digits, "file_fault", "PNG")
    assert Image.open(digits.folder / misnamed.keys[0]).format == "PNG"
    assert misnamed.keys[0].endswith(".jpg")
    (blank,) = planted(digits, "file_fault", "blank")
    odd = {*truncated.keys, *misnamed.keys, *blank.keys}
    ordinary = [key for key in content(digits.folder) if key not in odd][:100]
    spread = [np.asarray(Image.open(digits.folder / key).convert("L")).std() for key in ordinary]
    assert (
        np.asarray(Image.open(digits.folder / blank.keys[0]).convert("L")).std() < 8 < min(spread)
    )


def test_the_manifest_lists_every_tone_with_its_place(tones: Plan) -> None:
    rows = manifest(tones)
    assert set(rows) == set(content(tones.folder))
    splits = defaultdict(set)
    for key, row in rows.items():
        assert (row["split"], row["label"]) == tuple(key.split("/")[:2])
        splits[row["group"]].add(row["split"])
    assert [group for group, where in splits.items() if len(where) > 1] == [SHARED_SOURCE.name]


def test_spoiled_tones_can_be_told_by_their_samples(tones: Plan) -> None:
    for fault in planted(tones, "silent_audio", "digital"):
        assert not listen(tones, fault.keys[0]).any()
    for fault in planted(tones, "clipped_audio"):
        assert (np.abs(listen(tones, fault.keys[0])) > 0.999).mean() > 0.1
    for fault in planted(tones, "cut_audio"):
        assert edge_level(listen(tones, fault.keys[0])) > 0.7


def test_good_tones_are_whole_whether_quiet_or_loud(tones: Plan) -> None:
    spoiled = {p.keys[0] for p in tones.truth if p.kind.endswith("_audio")}
    for key in content(tones.folder):
        if key not in spoiled:
            sound = listen(tones, key)
            assert edge_level(sound) < 0.5
            assert np.abs(sound).max() < 0.96
    noise = min(
        np.abs(listen(tones, p.keys[0])).max() for p in planted(tones, "silent_audio", "no")
    )
    quiet = planted(tones, GOOD, "nearly silent")
    assert quiet
    assert all(np.abs(listen(tones, p.keys[0])).max() < noise for p in quiet)


def edge_level(sound: np.ndarray) -> float:
    """Level of the louder end relative to the loudest 10 ms of the clip."""
    frame = RATE // 100
    levels = [sound[at : at + frame].std() for at in range(0, len(sound) - frame + 1, frame)]
    return float(max(levels[0], levels[-1]) / max(levels))


def test_flags_that_match_the_truth_are_counted_as_found_and_others_named() -> None:
    truth = [
        Planted("label_error", ("a",), "slip"),
        Planted("label_error", ("b",), "slip"),
        Planted("near_duplicate", ("c", "d"), "mirrored"),
        Planted(REJECTED, ("e",), "truncated JPEG"),
    ]
    flags = [
        ("label_error", frozenset("x"), 0.9),
        ("label_error", frozenset("a"), 0.8),
        ("label_error", frozenset("b"), 0.7),
        ("label_error", frozenset("d"), 0.6),
        ("near_duplicate", frozenset("cdf"), 0.5),
    ]
    rows = {(row.kind, row.what): row for row in compare(truth, flags, rejected=["e", "y"])}
    slips = rows["label_error", "slip"]
    assert (slips.planted, slips.found, slips.found_first) == (2, 2, 1)
    assert rows["near_duplicate", "mirrored"].found == 1
    assert rows[REJECTED, "truncated JPEG"].found == 1
    assert rows["label_error", NOT_PLANTED].examples == ("x",)
    assert rows["label_error", ON_ANOTHER_FAULT].examples == ("d",)
    assert rows[REJECTED, NOT_PLANTED].also_raised == 1


def test_half_a_pair_does_not_find_a_copy_but_part_of_a_group_finds_a_source() -> None:
    truth = [Planted("leakage", ("a", "b"), "copy"), Planted("leakage", ("c", "d", "e"), "source")]
    flags = [("leakage", frozenset("a"), 0.9), ("leakage", frozenset("ce"), 0.9)]
    rows = {row.what: row for row in compare(truth, flags, rejected=[])}
    assert rows["copy"].found == 0
    assert rows["copy"].missed == ("a b",)
    assert rows["source"].found == 1


def test_a_good_item_counts_as_found_while_it_is_left_alone() -> None:
    truth = [Planted(GOOD, ("a",), "nearly silent"), Planted(GOOD, ("b",), "nearly silent")]
    flags = [("silent_audio", frozenset("a"), 0.9), ("label_error", frozenset("b"), 0.9)]
    row = next(row for row in compare(truth, flags, rejected=[]) if row.kind == GOOD)
    assert (row.planted, row.found, row.missed) == (2, 1, ("a",))


@given(st.lists(st.tuples(st.sampled_from("kl"), st.sets(st.sampled_from("abcd"), min_size=1))))
def test_every_planted_fault_and_every_flag_is_counted_once(
    raised: list[tuple[str, set[str]]],
) -> None:
    truth = [Planted("k", ("a",), "one"), Planted("k", ("b", "c"), "two")]
    flags = [(kind, frozenset(keys), 0.5) for kind, keys in raised]
    rows = compare(truth, flags, rejected=[])
    assert sum(row.planted for row in rows) == len(truth)
    explained = sum(any(f[0] == p.kind and set(p.keys) <= f[1] for p in truth) for f in flags)
    assert sum(row.also_raised for row in rows) == len(flags) - explained
    json.dumps([row.to_json() for row in rows])


def test_planting_knows_no_django_and_loads_scikit_learn_only_when_it_plants() -> None:
    code = (
        "import sys, quality.demo.digits, quality.demo.tones;"
        "sys.exit(bool({'django', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
