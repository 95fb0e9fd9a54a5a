"""Figures on pictures: clothing, cifar10 and the files that are not what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results_drive import Winnow, gain, read_table, read_zip, scores, write_table

FIRST_CLOTHING = 50  # flags of a queue that count (issue 2)
FIRST_LEAKS = 400
REVIEWED = (1.0, 1.5)  # times the true number of wrong labels
MOST_QUEUES = 8  # one after another, until so many labels are decided
DECIDED = ("reviewed", "relabel", "suggestion_right", "keep")

Figures = Iterator[dict[str, Any]]


def clothing(shared: Path, work: Path) -> Figures:
    """Accuracy with real weights and without; the natural label errors; the one true copy."""
    data = shared / "data/clothing"
    columns = [f"--column={pair}" for pair in ("file=file", "label=csv_label", "group=sender_id")]
    arguments: list[str | Path] = [
        data / "images.zip",
        "--media=image",
        f"--labels={data / 'index.csv'}",
        *columns,
    ]
    for name, weights in (("real weights", shared / "weights"), ("fallback", None)):
        winnow = Winnow(work / name.replace(" ", "-"), weights)
        # No split: sealed test items are never doubted, and 824 photos judge better than 372.
        winnow.command("import_dataset", "clothing", *arguments, "--split-from=none")
        trained = winnow.command("train", "clothing")
        yield {"figure": f"accuracy by sender, {name}", **scores(trained)}
        yield {"figure": f"label differences, {name}", **_differences(winnow, data)}
        if weights:
            yield {"figure": "the true copy with two labels", **_true_copy(winnow, data)}
            yield {"figure": "marked of corrected labels", **_marked_of_right(winnow, arguments)}
        winnow.command("import_dataset", "as-split", *arguments, "--split-from=folder")
        trained = winnow.command("train", "as-split", "--open-test", "--reason=results")
        yield {"figure": f"test accuracy, the makers' split, {name}", **scores(trained)}


def _marked_of_right(winnow: Winnow, arguments: list[str | Path]) -> dict[str, Any]:
    """Label errors among labels that people corrected: as few as can be are wanted."""
    corrected = ["--column=label=folder_label" if a == "--column=label=csv_label" else a
                 for a in arguments]  # fmt: skip
    winnow.command("import_dataset", "corrected", *corrected, "--split-from=none")
    n_items = winnow.command("train", "corrected")["n"]
    winnow.command("detect", "corrected")
    queue = winnow.inside("queue", "corrected", "--kind=label_error")
    marked = sum(flag["likely"] for flag in queue["flags"])
    return {"queue": queue["n"], "marked": marked, "n": n_items}


def _differences(winnow: Winnow, data: Path) -> dict[str, Any]:
    wrong = {row["file"]: row["folder_label"] for row in read_table(data / "label_differences.csv")}
    winnow.command("detect", "clothing", "--kind=label_error", "--kind=near_duplicate")
    found = winnow.inside("queue", "clothing", "--kind=label_error")
    keys = [flag["keys"][0] for flag in found["flags"]]
    places = sorted(keys.index(key) + 1 for key in wrong if key in keys)
    suggested = sum(
        flag["suggested"].casefold() == wrong.get(flag["keys"][0]) for flag in found["flags"]
    )
    return {
        "of": len(wrong),
        "in_first_50": sum(place <= FIRST_CLOTHING for place in places),
        "in_queue": len(places),
        "queue": found["n"],
        "marked": sum(flag["likely"] for flag in found["flags"]),
        "suggestion_right": suggested,
        "places": places,
    }


def _true_copy(winnow: Winnow, data: Path) -> dict[str, Any]:
    first = read_table(data / "near_duplicates_found.csv")[0]
    found = winnow.inside("queue", "clothing", "--kind=near_duplicate")
    wanted = {first["file1"], first["file2"]}
    places = [n for n, flag in enumerate(found["flags"], 1) if wanted <= set(flag["keys"])]
    told = found["flags"][places[0] - 1] if places else {}
    return {"place": places[0] if places else None, "queue": found["n"],
            "score": told.get("score"), "reason": told.get("reason")}  # fmt: skip


def cifar10(shared: Path, work: Path) -> Figures:
    """Labels that one annotator gave: what a reviewer who knows the truth gains on the test."""
    data = shared / "data/cifar10"
    rows = read_table(data / "cifar10n_train_labels.csv")
    wrong = sum(row["truth"] != row["annotator1"] for row in rows)
    truth = write_table(
        work / "truth.csv",
        ({"key": row["file"], "label": row["truth"], "unusable": ""} for row in rows),
    )
    given = [{"file": row["file"], "label": row["annotator1"]} for row in rows]
    for name in read_zip(data / "images.zip"):
        if name.startswith("test/"):
            given.append({"file": name, "label": name.split("/")[1]})
    labels = write_table(work / "given.csv", given)
    winnow = Winnow(work / "data", shared / "weights")
    imported = winnow.command("import_dataset", "cifar10", data / "images.zip",
                              f"--labels={labels}", "--split-from=folder")  # fmt: skip
    yield {"figure": "import", "imported": imported["imported"], "cpu_s": imported["cpu_s"]}
    trained = winnow.command("train", "cifar10")
    yield {"figure": "accuracy on the annotator's labels, 5 folds", **scores(trained)}
    detected = winnow.command("detect", "cifar10")
    yield {"figure": "leakage", "cpu_s": detected["cpu_s"], **_leakage(winnow, data)}
    yield from _reviewed(winnow, truth, wrong=wrong, first=trained["version"])


def _reviewed(winnow: Winnow, truth: Path, *, wrong: int, first: int) -> Figures:
    done = right = 0
    for share in REVIEWED:
        count = round(share * wrong) - done
        found = _decided(winnow, truth, count=count)
        done, right = done + found["reviewed"], right + found["relabel"]
        yield {"figure": f"review of {share}x", "wrong": wrong, **found}
        proved = winnow.command("prove", "cifar10", str(first), str(found["version"]))
        told = {"decisions": done, "corrected": right, "of_wrong": round(right / wrong, 4)}
        yield {"figure": f"gain after {share}x", **told, **gain(proved)}
    found = winnow.inside("correct_all", "cifar10", f"--truth={truth}")
    proved = winnow.command("prove", "cifar10", str(first), str(found["version"]))
    yield {"figure": "gain with every label right (the most there is)", **gain(proved)}


def _decided(winnow: Winnow, truth: Path, *, count: int) -> dict[str, Any]:
    """Decide `count` label errors; whenever the queue is done, train and check again."""
    told: Counter[str] = Counter()
    queues: list[int] = []
    cpu = 0.0
    while told["reviewed"] < count and len(queues) < MOST_QUEUES:
        if queues:
            cpu += winnow.command("train", "cifar10")["cpu_s"]
            cpu += winnow.command("detect", "cifar10", "--kind=label_error")["cpu_s"]
        left = count - told["reviewed"]
        found = winnow.inside("review", "cifar10", f"--count={left}", f"--truth={truth}")
        queues.append(found["queue"])
        told.update({name: found.get(name, 0) for name in DECIDED})
        if queues[1:] and not found["reviewed"]:
            break
    cpu = round(cpu, 1)
    return {"queues": queues, **told, "version": found["version"], "trained_and_checked_cpu_s": cpu}


def _leakage(winnow: Winnow, data: Path) -> dict[str, Any]:
    """Recall of listed copies (exact or the same shot) among the first flags about copies."""
    pairs = [
        {row["test_file"], row["train_file"]}
        for row in read_table(data / "duplicates_test_train.csv")
        if row["judgment"] in ("0", "1")
    ]
    found: dict[str, Any] = {"listed": len(pairs)}
    for kind in ("leakage", "near_duplicate"):
        queue = winnow.inside("queue", "cifar10", f"--kind={kind}", f"--count={FIRST_LEAKS}")
        sets = [set(flag["keys"]) for flag in queue["flags"]]
        hit = sum(any(pair <= keys for keys in sets) for pair in pairs)
        sure = [set(flag["keys"]) for flag in queue["flags"] if flag["likely"]]
        found |= {
            f"{kind}_recall": round(hit / len(pairs), 4),
            f"{kind}_flags": queue["n"],
            f"{kind}_sure": len(sure),
            f"{kind}_sure_recall": round(
                sum(any(pair <= keys for keys in sure) for pair in pairs) / len(pairs), 4
            ),
        }
    return found


def imagededup_tests(shared: Path, work: Path) -> Figures:
    """Every file is imported, or reported with its reason."""
    data = shared / "data/imagededup_tests"
    winnow = Winnow(work / "data", shared / "weights")
    imported = winnow.command("import_dataset", "torture", data / "images.zip", "--media=image")
    names = ("imported", "rejected", "odd")
    yield {"figure": "import", **{name: imported[name] for name in names}}
    real = {row["file"]: row for row in read_table(data / "index.csv")}
    entries = winnow.inside("report", "torture")["entries"]
    right = sum(_is_told_right(entry, real[entry["file"]]) for entry in entries)
    yield {"figure": "files told right", "files": len(real), "right": right}
    for entry in entries:
        if entry["outcome"] != "imported" or entry["odd"]:
            told = {name: entry[name] for name in ("outcome", "type", "odd", "reason")}
            truly = real[entry["file"]]["real_format"] or "not to be opened"
            yield {"figure": entry["file"], "truly": truly, **told}
    winnow.command("detect", "torture", "--kind=near_duplicate")
    for flag in winnow.inside("queue", "torture", "--kind=near_duplicate")["flags"]:
        files = sorted({Path(key).name for key in flag["keys"]})
        copies = f"{len(flag['keys'])} copies"
        yield {"figure": copies, "score": flag["score"], "names": files}


def _is_told_right(entry: dict[str, Any], row: dict[str, str]) -> bool:
    """Whether a file was refused or imported as it is, with a wrong ending told and no other."""
    truly = {"PPM": "pnm"}.get(row["real_format"], row["real_format"].lower())
    if not truly:
        return bool(entry["outcome"] == "rejected" and entry["reason"])
    endings = {"jpeg": ("jpg", "jpeg"), "pnm": ("pgm", "pbm", "ppm"), "tiff": ("tif", "tiff")}
    is_misnamed = Path(entry["file"]).suffix[1:].lower() not in endings.get(truly, (truly,))
    told = "wrong_extension" in entry["odd"]
    return entry["outcome"] == "imported" and entry["type"] == truly and told == is_misnamed
