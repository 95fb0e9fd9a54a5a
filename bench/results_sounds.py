"""Figures on sound: speakers not heard, planted faults, real silent clips, odd formats."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from results_drive import (
    Row,
    Winnow,
    gain,
    part_gain,
    read_table,
    read_zip,
    scores,
    write_table,
    write_zip,
)

SEED = 7
WRONG_WORDS = 0.10  # of the training clips
SILENT = CUT = 0.03
SILENT_LEVEL = 1e-4  # of full scale: hiss of a muted microphone, -80 dBFS
REVIEWED = 1.5  # times the true number of wrong words
LATER = 3  # the last of so many speakers is recorded after the first clean-up

Figures = Iterator[Row]
Stage = Generator[Row, None, int]  # figures, and the version that it ends with


@dataclass(frozen=True)
class Words:
    """A set of spoken words and who says them."""

    name: str
    label: str
    by: str
    loops: tuple[tuple[str, ...], ...]  # speakers, or splits of the makers, to learn from


@dataclass(frozen=True)
class Spoilt:
    """A set with planted faults in the part that is learned from."""

    given: list[Row]
    files: dict[str, bytes]
    truth: Path  # key, label and fault of each clip that is learned from
    wrong: set[str]  # files with a wrong word


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
        for figure in _collecting(winnow, data, work, words, heard):
            yield {**figure, "heard": "+".join(heard), "one speaker in three later": True}


def _loop(winnow: Winnow, data: Path, work: Path, words: Words, heard: tuple[str, ...]) -> Figures:
    """Spoil what is learned from, review it with the truth, judge on speakers not heard."""
    spoilt = _spoil(data, work, words, heard)
    name = "-".join(heard)
    before = yield from _taken_in(winnow, name, spoilt, spoilt.given)
    yield from _planted(winnow, name, spoilt)
    cleaned = yield from _cleaned(winnow, name, spoilt, spoilt.given)
    yield {"figure": "gain on speakers not heard", **_proved(winnow, name, before, cleaned)}
    everything = winnow.inside("correct_all", name, f"--truth={spoilt.truth}")["version"]
    yield {"figure": "gain with every fault undone (the most there is)",
           **_proved(winnow, name, before, everything)}  # fmt: skip


def _collecting(
    winnow: Winnow, data: Path, work: Path, words: Words, heard: tuple[str, ...]
) -> Figures:
    """Clean what there is, record more speakers with the same faults, clean again."""
    spoilt = _spoil(data, work, words, heard)
    name = "-".join(heard) + "-more"
    speakers = sorted({row["speaker"] for row in spoilt.given if row["split"] == "train"})
    new = set(speakers[LATER - 1 :: LATER])
    later = [row for row in spoilt.given if row["speaker"] in new]
    first = [row for row in spoilt.given if row["speaker"] not in new]
    before = yield from _taken_in(winnow, name, spoilt, first)
    cleaned = yield from _cleaned(winnow, name, spoilt, first)
    yield {"figure": "gain of the first clean-up", **_proved(winnow, name, before, cleaned)}
    added = yield from _taken_in(winnow, name, spoilt, later)
    yield {"figure": "gain of the clips added as they came", "clips": len(later),
           "speakers": len(new), **_proved(winnow, name, cleaned, added)}  # fmt: skip
    after = yield from _cleaned(winnow, name, spoilt, later)
    proved = winnow.command("prove", name, str(before), str(after), "--parts")
    yield {"figure": "gain of all: cleaned, added, cleaned again", **gain(proved)}
    for part in proved["parts"]:
        yield {"figure": f"of it {part['kind']} alone", **part_gain(part)}


def _taken_in(winnow: Winnow, name: str, spoilt: Spoilt, rows: list[Row]) -> Stage:
    """Import these clips, train and check; return the version."""
    files = {row["file"]: spoilt.files[row["file"]] for row in rows}
    packed = write_zip(spoilt.truth.with_name("spoilt.zip"), files)
    table = write_table(spoilt.truth.with_name("given.csv"), rows)
    winnow.command("import_dataset", name, packed, "--media=audio", f"--labels={table}")
    trained = winnow.command("train", name)
    yield {"figure": "accuracy by speaker, spoilt", **scores(trained)}
    winnow.command("detect", name)
    return int(trained["version"])


def _planted(winnow: Winnow, name: str, spoilt: Spoilt) -> Figures:
    faults = {row["key"]: row["unusable"] for row in read_table(spoilt.truth)}
    for kind, fault in (("silent_audio", "silent"), ("cut_audio", "cut")):
        keys = {f["keys"][0] for f in winnow.inside("queue", name, f"--kind={kind}")["flags"]}
        planted = {key for key, told in faults.items() if told == fault}
        learned = keys & faults.keys()
        yield {"figure": f"planted {fault} clips", "planted": len(planted),
               "found": len(planted & keys), "others_flagged": len(learned - planted)}  # fmt: skip


def _cleaned(winnow: Winnow, name: str, spoilt: Spoilt, rows: list[Row]) -> Stage:
    """Review with the truth and return the version; clips without a word are taken out first."""
    version, wrong = 0, sum(row["file"] in spoilt.wrong for row in rows)
    for kind, count in (("silent_audio", 10**6), ("cut_audio", 10**6),
                        ("label_error", round(REVIEWED * wrong))):  # fmt: skip
        found = winnow.inside("review", name, f"--kind={kind}", f"--count={count}",
                              f"--truth={spoilt.truth}")  # fmt: skip
        yield {"figure": f"review of {kind}", "wrong_words": wrong, **found}
        version = found["version"]
    return version


def _proved(winnow: Winnow, name: str, before: int, after: int) -> Row:
    return gain(winnow.command("prove", name, str(before), str(after)))


def _spoil(data: Path, work: Path, words: Words, heard: tuple[str, ...]) -> Spoilt:
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
    return Spoilt(given, files, write_table(work / "truth.csv", truth), wrong)


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
