"""Sound checks: planted faults, untouched clips, the peers' clips, and what they cost.

    WINNOW_SHARED=... python bench/sound_checks.py [faults] [more] [untouched] [peers] [speed]
        [--set NAME=FOLDER ...]

Prints one JSON line a figure. Each fault is planted in a random tenth of a real set, five times;
a set is judged as the app judges it (typical length and tight cuts by the set). Arabic words are
where the goals are asked for; the other sets show whether a limit is fitted to them. `more` plants
faults that came after the checks. A set given by its folder takes the place of the shared ones.

Clips of Speech Commands that its index counts samples at full scale of are clipped already; they
are neither planted in nor counted, but told in `untouched`.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import json
import math
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sound_faults import FAULTS, Plant, more  # noqa: E402

from mlcore.sound_checks import TIGHT_SHARE, check_sound, tight_share  # noqa: E402
from mlcore.sounds import measure_sound, measure_sounds  # noqa: E402

SHARED = Path(os.environ.get("WINNOW_SHARED", ROOT.parent / "shared"))
SETS = ("arabic_speech_commands", "lithuanian_speech_commands", "speech_commands_sample", "fsdd")
BACKGROUND = "_background_noise_"
DRAWS, MORE_DRAWS = 5, 2  # MORE are three times as many
PLANTED_SHARE = 0.1
BAR_CLIPS_A_CPU_S = 4000  # issue 4; librosa's load and rms alone reach 3,800
ROUNDS = 4
MOST_WORDS = 600  # of a larger set every so many
ENDINGS = (".wav", ".ogg", ".flac", ".mp3")
ALIKE_LENGTHS = 0.05  # as quality.doubts.sounds
Figures = Iterator[dict[str, Any]]
Facts = dict[str, Any]
OWN: dict[str, Path] = {}  # sets given by their folders


def faults() -> Figures:
    """Each fault in a tenth of the words of each set."""
    for name in OWN or SETS:
        words = _words(name)
        plain = _facts(words)
        for fault, plant in FAULTS.items():
            yield {"set": name, "fault": fault, **_planted(words, plain, plant, DRAWS)}


def more_faults() -> Figures:
    """Faults that nobody tuned anything to."""
    for name in OWN or SETS:
        words = _words(name)
        plain = _facts(words)
        for fault, plant in more(list(words.values())).items():
            yield {"set": name, "fault": fault, **_planted(words, plain, plant, MORE_DRAWS)}


def _words(name: str) -> dict[str, bytes]:
    """Return clips of words, every so many of a large set, without those clipped by its index."""
    index = SHARED / "data" / name / "index.csv"
    rows = csv.DictReader(index.read_text().splitlines()) if index.exists() else ()
    clipped = {row["file"] for row in rows if float(row.get("clipped_samples") or 0)}
    words = [(path, clip) for path, clip in _clips(name).items()
             if BACKGROUND not in path and path not in clipped]  # fmt: skip
    return dict(words[:: math.ceil(len(words) / MOST_WORDS)])


def _planted(
    words: dict[str, bytes], plain: dict[str, Facts], plant: Plant, draws: int
) -> dict[str, Any]:
    kind = plant.kind
    hits = missed = alarms = untouched = flagged = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        names = sorted(words)
        chosen = set(rng.choice(names, round(PLANTED_SHARE * len(names)), replace=False))
        spoilt = {name: plant(words[name], rng) for name in names if name in chosen}
        doubts = _doubts({**plain, **_facts(spoilt)})
        hits += sum(kind in doubts[name] for name in chosen)
        missed += sum(kind not in doubts[name] for name in chosen)
        rest = [doubts[name] for name in names if name not in chosen]
        alarms += sum(kind in found for found in rest)
        flagged += sum(bool(found) for found in rest)
        untouched += len(rest)
    precision = hits / max(1, hits + alarms)
    recall = hits / (hits + missed)
    return {
        "kind": kind, "planted": hits + missed, "precision": round(precision, 3),
        "recall": round(recall, 3),
        "f1": round(2 * precision * recall / max(1e-9, precision + recall), 3),
        "untouched_flagged": round(flagged / untouched, 4),
    }  # fmt: skip


def _facts(clips: dict[str, bytes]) -> dict[str, Facts]:
    """Measure clips together."""
    found = measure_sounds((clip, name) for name, clip in clips.items())
    return {name: one.facts for name, one in zip(clips, found, strict=True)}  # type: ignore[union-attr]


def _doubts(facts: dict[str, Facts]) -> dict[str, set[str]]:
    """Judge a set as the app does."""
    low, middle, high = np.percentile([one["seconds"] for one in facts.values()], [25, 50, 75])
    typical = float(middle) if high - low <= ALIKE_LENGTHS * middle else None
    tight = tight_share(facts.values()) >= TIGHT_SHARE
    return {
        name: {doubt.kind for doubt in check_sound(one, typical_seconds=typical, cut_tight=tight)}
        for name, one in facts.items()
    }


@cache
def _clips(name: str) -> dict[str, bytes]:
    if name in OWN:
        paths = sorted(path for path in OWN[name].rglob("*") if path.suffix in ENDINGS)
        return {str(path.relative_to(OWN[name])): path.read_bytes() for path in paths}
    with zipfile.ZipFile(SHARED / "data" / name / "audio.zip") as packed:
        return {path: packed.read(path) for path in packed.namelist() if path.endswith(".wav")}


def untouched() -> Figures:
    """What is flagged of real clips as they are."""
    for name in OWN or SETS:
        facts = {path: measure_sound(clip, path).facts for path, clip in _clips(name).items()}
        words = {path: one for path, one in facts.items() if BACKGROUND not in path}
        doubts = _doubts(words)
        yield {
            "set": name, "words": len(words),
            "cut_tight": round(tight_share(words.values()), 3),
            "flagged": {kind: sum(kind in found for found in doubts.values())
                        for kind in ("silent_audio", "clipped_audio", "cut_audio")},
        }  # fmt: skip
        rooms = [one for path, one in facts.items() if BACKGROUND in path]
        if rooms:
            told = sum(any(d.kind == "silent_audio" for d in check_sound(one)) for one in rooms)
            yield {"set": name, "background": len(rooms), "told_from_words": told}


def peers() -> Figures:
    """The 2,000 clips of the peers' script; soft clips and those with an offset are good."""
    for fault, kind in (("silent", "silent_audio"), ("noise_only", "silent_audio"),
                        ("clipped", "clipped_audio")):  # fmt: skip
        truth, doubts = _peers_doubts()
        wanted = {"silent", "noise_only"} if kind == "silent_audio" else {fault}
        found = {name for name, kinds in doubts.items() if kind in kinds}
        true = {name for name, what in truth.items() if what == fault}
        right = {name for name in found if truth[name] in wanted}
        yield {"peers": fault, "recall": len(found & true) / len(true),
               "precision": round(len(right) / max(1, len(found)), 4)}  # fmt: skip
    others = sum(bool(doubts[name]) for name, what in truth.items() if what not in
                 {"silent", "noise_only", "clipped"})  # fmt: skip
    yield {"peers": "good, soft or with an offset", "flagged": others}


_MADE: list[tuple[dict[str, str], dict[str, bytes]]] = []


def _peers_clips() -> tuple[dict[str, str], dict[str, bytes]]:
    if not _MADE:
        spec = importlib.util.spec_from_file_location(
            "peers", SHARED / "peers/bench_quality_peers.py"
        )
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with tempfile.TemporaryDirectory() as folder:
            module.DATA = Path(folder)
            module.gen_audio(2000)
            held = Path(folder) / "audio_2000"
            truth = json.loads((held / "truth.json").read_text())
            _MADE.append((truth, {name: (held / name).read_bytes() for name in truth}))
    return _MADE[0]


def _peers_doubts() -> tuple[dict[str, str], dict[str, set[str]]]:
    truth, clips = _peers_clips()
    return truth, _doubts({name: measure_sound(clip, name).facts for name, clip in clips.items()})


def speed() -> Figures:
    """Read from disk, measure and check clips of one second at 16 kHz: files a CPU-second.

    The digits are of as many lengths as clips (0.14 to 2.28 s at 8 kHz), and so are Arabic words
    of which up to a third is cut off. Every eighth of the clips is measured in every way in turn,
    several times, and the ratio is taken each time: a busy machine slows both sides of it alike.
    """
    words = _clips("arabic_speech_commands")
    sets = {
        "peers' 2,000": _peers_clips()[1],
        "arabic words": words,
        "arabic words of many lengths": _of_many_lengths(words),
        "digits": _clips("fsdd"),
    }
    ways: dict[str, Callable[[list[Path]], None]] = {
        "all checks, together": _check_together,
        "all checks, one by one": _check_each,
        "librosa: load and rms": _librosa_rms,
    }
    for name, clips in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{place}.wav" for place in range(len(clips))]
            for path, clip in zip(paths, clips.values(), strict=True):
                path.write_bytes(clip)
            eighths = [paths[start::8] for start in range(8)]
            rates = np.array([[[_rate(run, part) for run in ways.values()] for part in eighths]
                              for _ in range(ROUNDS)]).reshape(-1, len(ways))  # fmt: skip
        low, ratio, high = np.percentile(rates[1:, 0] / rates[1:, 2], [25, 50, 75])
        middle = np.median(rates, axis=0).round().astype(int).tolist()
        yield {"speed": name, "bar": BAR_CLIPS_A_CPU_S, "ratio": round(ratio, 2),
               "ratio_quartiles": [round(low, 2), round(high, 2)],
               **dict(zip(ways, middle, strict=True))}  # fmt: skip


def _of_many_lengths(clips: dict[str, bytes]) -> dict[str, bytes]:
    rng, cut = np.random.default_rng(0), {}
    for name, clip in clips.items():
        steps, rate = soundfile.read(io.BytesIO(clip), dtype="int16")
        out = io.BytesIO()
        soundfile.write(
            out, steps[: rng.integers(len(steps) * 2 // 3, len(steps))], rate, format="WAV"
        )
        cut[name] = out.getvalue()
    return cut


def _rate(run: Callable[[list[Path]], None], paths: list[Path]) -> float:
    """Return files a CPU-second."""
    begun = time.process_time()
    run(paths)
    return len(paths) / (time.process_time() - begun)


def _check_together(paths: list[Path]) -> None:
    for found in measure_sounds((path.read_bytes(), path.name) for path in paths):
        check_sound(found.facts)  # type: ignore[union-attr]


def _check_each(paths: list[Path]) -> None:
    for path in paths:
        check_sound(measure_sound(path.read_bytes(), path.name).facts)


def _librosa_rms(paths: list[Path]) -> None:
    import librosa

    for path in paths:
        librosa.feature.rms(y=librosa.load(path, sr=None)[0])


def main() -> None:
    """Print the wished figures, one JSON line each."""
    parts = {
        "faults": faults, "more": more_faults, "untouched": untouched, "peers": peers,
        "speed": speed,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER")
    given = parser.parse_args()
    OWN.update((name, Path(path)) for name, path in (one.split("=", 1) for one in given.set))
    for part in given.parts or list(parts):
        for figure in parts[part]():
            print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
