"""Figures on sound: speakers not heard, planted faults, real silent clips, odd formats."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from results_drive import Winnow, gain, read_table, read_zip, scores, write_table, write_zip

SEED = 7
WRONG_WORDS = 0.10  # of the training clips
SILENT = CUT = 0.03
SILENT_LEVEL = 1e-4  # of full scale: hiss of a muted microphone, -80 dBFS
REVIEWED = 1.5  # times the true number of wrong words
ADDED = 3  # every third good clip comes after the review

Figures = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Words:
    """A set of spoken words and who says them."""

    name: str
    label: str
    by: str
    loops: tuple[tuple[str, ...], ...]  # speakers, or splits of the makers, to learn from


# Six speakers are few: what is gained depends on which three are heard, so several threes are.
THREES = (
    ("george", "jackson", "lucas"),
    ("jackson", "nicolas", "theo"),
    ("george", "nicolas", "yweweler"),
)
DIGITS = Words("fsdd", "digit", "speaker", THREES)
ARABIC = Words("arabic_speech_commands", "word", "split", (("train",),))


def fsdd(shared: Path, work: Path) -> Figures:
    yield from _words(shared, work, DIGITS)


def arabic_speech_commands(shared: Path, work: Path) -> Figures:
    yield from _words(shared, work, ARABIC)


def arabic_with_added(shared: Path, work: Path) -> Figures:
    """The loop on part of the clips: what reviewing gains, and what the others bring on top."""
    winnow, name = Winnow(work / "data", shared / "weights"), "added"
    packed, labels, truth = _spoil(shared / "data" / ARABIC.name, work, ARABIC, ("train",))
    given, told = {row["file"]: row for row in read_table(labels)}, read_table(truth)
    good = [row["key"] for row in told
            if not row["unusable"] and given[row["key"]]["label"] == row["label"]]  # fmt: skip
    later, files = set(good[::ADDED]), read_zip(packed)
    for part, keys in (("first", given.keys() - later), ("later", later)):
        write_zip(work / f"{part}.zip", {key: files[key] for key in keys})
        write_table(work / f"{part}.csv", [given[key] for key in given if key in keys])
    winnow.command("import_dataset", name, work / "first.zip", "--media=audio",
                   f"--labels={work / 'first.csv'}")  # fmt: skip
    first = winnow.command("train", name)
    winnow.command("detect", name)
    for kind in ("silent_audio", "cut_audio", "label_error"):
        found = _review(winnow, name, kind, truth, count=round(REVIEWED * len(told) * WRONG_WORDS))
        yield {"figure": f"review of {kind}", **found}
    proved = winnow.command("prove", name, str(first["version"]), str(found["version"]))
    yield {"figure": "gain of reviewing on speakers not heard", **gain(proved)}
    winnow.command("import_dataset", name, work / "later.zip", "--media=audio",
                   f"--labels={work / 'later.csv'}")  # fmt: skip
    grown = winnow.command("train", name)
    proved = winnow.command("prove", name, str(first["version"]), str(grown["version"]))
    yield {"figure": f"gain with {len(later)} clips added as well", **gain(proved)}


def _words(shared: Path, work: Path, words: Words) -> Figures:
    data = shared / "data" / words.name
    winnow = Winnow(work / "data", shared / "weights")
    columns = [f"--column={pair}" for pair in (f"label={words.label}", "group=speaker")]
    winnow.command("import_dataset", "clean", data / "audio.zip", "--media=audio",
                   f"--labels={data / 'index.csv'}", *columns, "--split-from=none")  # fmt: skip
    trained = winnow.command("train", "clean")
    found = winnow.inside("by_source", "clean")
    shares = sorted(found["accuracy"].values())
    yield {"figure": "accuracy on speakers not heard, clean", **scores(trained)}
    yield {"figure": "by speaker", "speakers": len(shares), "worst": shares[0],
           "median": float(np.median(shares)), "best": shares[-1],
           "chosen_from": found["chosen_from"]["chosen_from"],
           "each": found["accuracy"] if len(shares) < 12 else None}  # fmt: skip
    winnow.command("detect", "clean")
    for kind in ("label_error", "silent_audio", "cut_audio", "clipped_audio"):
        queue = winnow.inside("queue", "clean", f"--kind={kind}")
        marked = sum(flag["likely"] for flag in queue["flags"])
        yield {"figure": f"flags on the clean set: {kind}", "queue": queue["n"], "marked": marked}
    for heard in words.loops:
        for figure in _loop(winnow, data, work, words, heard):
            yield {**figure, "heard": "+".join(heard)}


def _loop(winnow: Winnow, data: Path, work: Path, words: Words, heard: tuple[str, ...]) -> Figures:
    """Spoil what is learned from, review it with the truth, judge on speakers not heard."""
    packed, labels, truth = _spoil(data, work, words, heard)
    name = "-".join(heard)
    faults = {row["key"]: row["unusable"] for row in read_table(truth)}
    given = {row["file"]: row["label"] for row in read_table(labels)}
    wrong = sum(
        given[row["key"]] != row["label"] and not row["unusable"] for row in read_table(truth)
    )
    winnow.command("import_dataset", name, packed, "--media=audio", f"--labels={labels}")
    first = winnow.command("train", name)
    yield {"figure": "accuracy by speaker, spoilt", **scores(first)}
    winnow.command("detect", name)
    for kind, fault in (("silent_audio", "silent"), ("cut_audio", "cut")):
        keys = {f["keys"][0] for f in winnow.inside("queue", name, f"--kind={kind}")["flags"]}
        planted = {key for key, told in faults.items() if told == fault}
        learned = keys & faults.keys()
        yield {"figure": f"planted {fault} clips", "planted": len(planted),
               "found": len(planted & keys), "others_flagged": len(learned - planted)}  # fmt: skip
    # Clips that cannot be used are taken out first, as the queues stand on the Review page.
    for kind, count in (("silent_audio", 10**6), ("cut_audio", 10**6),
                        ("label_error", round(REVIEWED * wrong))):  # fmt: skip
        found = _review(winnow, name, kind, truth, count=count)
        yield {"figure": f"review of {kind}", "wrong_words": wrong, **found}
    proved = winnow.command("prove", name, str(first["version"]), str(found["version"]))
    yield {"figure": "gain on speakers not heard", **gain(proved)}
    everything = winnow.inside("correct_all", name, f"--truth={truth}")
    proved = winnow.command("prove", name, str(first["version"]), str(everything["version"]))
    yield {"figure": "gain with every fault undone (the most there is)", **gain(proved)}


def _review(winnow: Winnow, name: str, kind: str, truth: Path, *, count: int) -> dict[str, Any]:
    return winnow.inside("review", name, f"--kind={kind}", f"--count={count}", f"--truth={truth}")


def _spoil(data: Path, work: Path, words: Words, heard: tuple[str, ...]) -> tuple[Path, Path, Path]:
    """Write the spoilt clips, their given labels and the truth about the training part."""
    rng = np.random.default_rng(SEED)
    rows, files = read_table(data / "index.csv"), read_zip(data / "audio.zip")
    classes = sorted({row[words.label] for row in rows})
    learned = [row["file"] for row in rows if row[words.by] in heard]
    order = list(rng.permutation(learned))
    n_wrong, n_silent, n_cut = (round(s * len(learned)) for s in (WRONG_WORDS, SILENT, CUT))
    wrong, silent = set(order[:n_wrong]), set(order[n_wrong : n_wrong + n_silent])
    cut = set(order[n_wrong + n_silent : n_wrong + n_silent + n_cut])
    given, truth = [], []
    for row in rows:
        name, label = row["file"], row[words.label]
        others = [other for other in classes if other != label]
        told = str(rng.choice(others)) if name in wrong else label
        fault = "silent" if name in silent else "cut" if name in cut else ""
        if fault:
            files[name] = _spoilt(files[name], fault, rng=rng)
        split = "train" if row[words.by] in heard else "test"
        given.append({"file": name, "label": told, "speaker": row["speaker"], "split": split})
        if split == "train":
            truth.append({"key": name, "label": label, "unusable": fault})
    used = {row["file"]: files[row["file"]] for row in rows}
    return (
        write_zip(work / "spoilt.zip", used),
        write_table(work / "given.csv", given),
        write_table(work / "truth.csv", truth),
    )


def _spoilt(content: bytes, fault: str, *, rng: np.random.Generator) -> bytes:
    """Return a clip without its word, or without half of it at the middle of its energy."""
    clip, rate = soundfile.read(io.BytesIO(content))
    if fault == "silent":
        clip = rng.normal(0, SILENT_LEVEL, len(clip))
    else:
        middle = int(np.searchsorted(np.cumsum(clip**2), (clip**2).sum() / 2))
        clip = clip[:middle] if rng.random() < 0.5 else clip[middle:]
    out = io.BytesIO()
    soundfile.write(out, clip, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def speech_commands_sample(shared: Path, work: Path) -> Figures:
    """Which clips are called silent, and why."""
    data = shared / "data/speech_commands_sample"
    winnow = Winnow(work / "data", shared / "weights")
    columns = [f"--column={pair}" for pair in ("label=word", "group=speaker")]
    imported = winnow.command("import_dataset", "commands", data / "audio.zip", "--media=audio",
                              f"--labels={data / 'index.csv'}", *columns)  # fmt: skip
    yield {"figure": "import", **{name: imported[name] for name in ("imported", "rejected", "odd")}}
    winnow.command("detect", "commands")
    measured = {row["file"]: row for row in read_table(data / "index.csv")}
    for kind in ("silent_audio", "cut_audio", "clipped_audio"):
        queue = winnow.inside("queue", "commands", f"--kind={kind}")
        yield {"figure": f"{kind}, of {len(measured)} clips", "queue": queue["n"]}
        for flag in queue["flags"]:
            row = measured[flag["keys"][0]]
            yield {"figure": f"{kind}: {flag['keys'][0]}", "score": flag["score"],
                   "rms": row["rms"], "range_db": row["frame_db_p95_minus_p5"],
                   "reason": flag["reason"]}  # fmt: skip


def wav_formats(shared: Path, work: Path) -> Figures:
    """Every clip in a format beyond 16-bit PCM is imported and measured as it was written."""
    data = shared / "data/wav_formats"
    winnow = Winnow(work / "data", shared / "weights")
    imported = winnow.command("import_dataset", "formats", data / "audio.zip", "--media=audio",
                              f"--labels={data / 'index.csv'}", "--column=label=word")  # fmt: skip
    yield {"figure": "import", **{name: imported[name] for name in ("imported", "rejected", "odd")}}
    entries = {entry["file"]: entry for entry in winnow.inside("report", "formats")["entries"]}
    by_format: dict[str, list[tuple[dict[str, str], dict[str, Any]]]] = {}
    for row in read_table(data / "index.csv"):
        entry = next(found for name, found in entries.items() if name.endswith(row["file"]))
        by_format.setdefault(f"{row['subtype']} at {row['sample_rate']} Hz", []).append(
            (row, entry)
        )
    for name, pairs in sorted(by_format.items()):
        yield {"figure": name, "clips": len(pairs), **_agreement(pairs)}


def _agreement(pairs: list[tuple[dict[str, str], dict[str, Any]]]) -> dict[str, Any]:
    """Count clips that were imported and measured as another reader measured them."""
    imported = [(row, entry["facts"]) for row, entry in pairs if entry["outcome"] == "imported"]
    same = [
        facts["subtype"] == row["subtype"] and facts["sample_rate"] == int(row["sample_rate"])
        for row, facts in imported
    ]
    differ = [abs(facts["seconds"] - float(row["seconds"])) for row, facts in imported]
    return {"imported": len(imported), "format_as_written": sum(same),
            "most_seconds_apart": round(max(differ), 4)}  # fmt: skip
