"""Copies: what was planted, what is found of it, and at what cost, beside the peers' figures.

    WINNOW_SHARED=... python bench/copies.py [hashes] [pictures] [sounds] [texts]

Prints one JSON line a figure. Pictures are the peers' 10,000 JPEG (made by their script, seed
2), sounds and texts real sets with copies planted here. What the peers reach was measured by
their script (shared/peers/README.md), not in this run.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import io
import json
import os
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mlcore.duplicates import LEAST_SCORE, find_copies  # noqa: E402
from mlcore.features.waves import mfcc_statistics, read_wave, spectrogram_picture  # noqa: E402
from mlcore.files import Measured, sha256_of  # noqa: E402
from mlcore.hamming import close_pairs  # noqa: E402
from mlcore.images import PICTURES_TOGETHER, measure_images  # noqa: E402
from mlcore.neighbours import nearest  # noqa: E402

SHARED = Path(os.environ.get("WINNOW_SHARED", ROOT.parent / "shared"))
HASHES = 200_000
BAR_HASHES_CPU_S = 10.0  # issue 4
PICTURES = 10_000
BAR_PICTURES_CPU_S = 7.0  # for measuring and finding
CLIPS, CLIP_COPIES = 500, 50  # of each set, and copies of each kind
TEXTS, TEXT_COPIES = 3000, 100
PEERS = {
    "imagededup pHash, 10 bits": "30.6 CPU-s; 1 / 1 / 1 / 1 / .95 / 0; 3 false, 4950 flat",
    "CleanVision": "44 CPU-s; 1 / .79 / .91 / .27 / .01 / 0; 0 false, 4950 flat",
    "fastdup 2.54": "81 CPU-s; 1 / 1 / .41 / 1 / .98 / 1; 61,153 false",
}
Figures = Iterator[dict[str, Any]]
Change = Callable[[np.ndarray, int], bytes]


def hashes() -> Figures:
    """Random hashes with planted ones 0 to 10 bits away: all pairs within 10 bits."""
    rng = np.random.default_rng(3)
    found = rng.integers(0, 2**64, HASHES, np.uint64)
    planted = set()
    for place in range(1100):
        bits = rng.choice(64, place % 11, replace=False).astype(np.uint64)
        found[HASHES // 2 + place] = found[place] ^ np.bitwise_or.reduce(
            np.uint64(1) << bits, initial=np.uint64(0)
        )
        planted.add((place, HASHES // 2 + place))
    start = time.process_time()
    pairs = set(map(tuple, close_pairs(found, found, most_bits=10).tolist()))
    cpu = time.process_time() - start
    yield {"figure": "200,000 hashes joined, 10 bits", "cpu_s": round(cpu, 2),
           "bar_cpu_s": BAR_HASHES_CPU_S, "recall": len(planted & pairs) / len(planted),
           "by_chance": len(pairs - planted)}  # fmt: skip


def pictures() -> Figures:
    """The peers' JPEG: one decode measures everything, then copies are looked for."""
    theirs = _peers()
    with tempfile.TemporaryDirectory() as folder:
        theirs.DATA = Path(folder)
        theirs.gen_images(PICTURES)
        yield {"figure": "peers' 10,000 JPEG", "bar_cpu_s": BAR_PICTURES_CPU_S,
               **picture_copies(Path(folder))}  # fmt: skip
    for name, told in PEERS.items():
        yield {"figure": f"{name}, theirs, not measured in this run", "told": told}


def picture_copies(made: Path) -> dict[str, Any]:
    """Measure and compare the pictures under `made`; decoding alone is the yardstick."""
    theirs = _peers()
    theirs.DATA = made
    held, truth = theirs._img_dir()
    paths = sorted(held.iterdir())
    import scipy.fft  # noqa: F401  (imports are no cost of the call)

    import mlcore.pixel_sums  # noqa: F401

    measured, decoding, measuring = _measured_beside_decoding(paths)
    before = time.process_time()
    pairs = find_copies(
        sha256=[sha256_of(path.read_bytes()) for path in paths],
        pixel_hashes=[one.pixel_hash for one in measured],
        phashes=np.array([one.phash or 0 for one in measured], np.uint64),
        flat=np.array([one.flat or one.phash is None for one in measured]),
        framed=np.array([one.facts["frame_share"] > 0 for one in measured]),
        thumbnails=np.stack([np.frombuffer(one.small_grey or b"", np.uint8) for one in measured]),
    )
    finding = time.process_time() - before
    named = {frozenset((paths[pair.first].name, paths[pair.second].name)) for pair in pairs}
    return {"cpu_s": round(measuring + finding, 2), "decode_alone": round(decoding, 2),
            "measuring": round(measuring, 2), "finding": round(finding, 2),
            "of_decode": round((measuring + finding) / decoding, 2),
            **theirs._dup_quality(named, truth)}  # fmt: skip


def _measured_beside_decoding(paths: list[Path]) -> tuple[list[Measured], float, float]:
    """Measure and decode in turns, as many as are measured together, so both meet the same load.

    Returns
    -------
    list of Measured, and the CPU seconds of decoding alone and of measuring
    """
    measured: list[Measured] = []
    decoding = measuring = 0.0
    for start in range(0, len(paths), PICTURES_TOGETHER):
        part = paths[start : start + PICTURES_TOGETHER]
        moments = [time.process_time()]
        for path in part:
            Image.open(path).load()
        moments.append(time.process_time())
        found = measure_images((path.read_bytes(), path.name) for path in part)
        moments.append(time.process_time())
        measured += [one for one in found if isinstance(one, Measured)]
        decoding += moments[1] - moments[0]
        measuring += moments[2] - moments[1]
    assert len(measured) == len(paths)
    return measured, decoding, measuring


def _peers() -> Any:
    path = SHARED / "peers/bench_quality_peers.py"
    spec = importlib.util.spec_from_file_location("peers", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _later(seconds: float) -> Change:
    """Return a change that lets the sound begin later; the clip grows, nothing is lost."""

    def change(wave: np.ndarray, rate: int) -> bytes:
        room = np.random.default_rng(1).normal(0, 1e-4, round(seconds * rate))
        return _encoded(np.concatenate([room, wave]), rate, "WAV")

    return change


def _encoded(wave: np.ndarray, rate: int, kind: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, wave, rate, format=kind)
    return out.getvalue()


CHANGES: dict[str, Change] = {
    "10 ms later": _later(0.01),
    "50 ms later": _later(0.05),
    "100 ms later": _later(0.1),
    "200 ms later": _later(0.2),
    "-20 dB": lambda wave, rate: _encoded(0.1 * wave, rate, "WAV"),
    "ogg": lambda wave, rate: _encoded(wave, rate, "OGG"),
    "mp3": lambda wave, rate: _encoded(wave, rate, "MP3"),
    "100 ms later, ogg": lambda wave, rate: _encoded(
        np.concatenate([np.zeros(rate // 10), 0.5 * wave]), rate, "OGG"
    ),
}


def sounds() -> Figures:
    """Words of real speakers: copies of one kind at a time are planted beside them."""
    for name in ("fsdd", "arabic_speech_commands", "lithuanian_speech_commands"):
        rng = np.random.default_rng(7)
        with zipfile.ZipFile(SHARED / "data" / name / "audio.zip") as packed:
            files = sorted(file for file in packed.namelist() if file.lower().endswith(".wav"))
            rng.shuffle(files)
            clips = [packed.read(file) for file in files[:CLIPS]]
        chosen = rng.choice(len(clips), CLIP_COPIES, replace=False).tolist()
        before = time.process_time()
        base = [_described(clip) for clip in clips]
        each = (time.process_time() - before) / len(clips)
        clean, _ = _found(base, [])
        yield {"figure": f"{name}, nothing planted", "clips": len(clips), "pairs": len(clean),
               "cpu_ms_a_clip": round(1000 * each, 2)}  # fmt: skip
        for kind, change in CHANGES.items():
            copies = [_described(change(*_played(clips[place]))) for place in chosen]
            pairs, cpu = _found(base, copies)
            wanted = {(place, len(base) + at) for at, place in enumerate(chosen)}
            yield {"figure": f"{name}, {kind}", "planted": len(wanted),
                   "recall": len(wanted & pairs) / len(wanted),
                   "others": len(pairs - wanted - clean), "cpu_s_found": round(cpu, 1)}  # fmt: skip


def _played(clip: bytes) -> tuple[np.ndarray, int]:
    wave, rate = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
    mono = wave.mean(axis=1)
    return mono * min(1.0, 0.7 / max(float(np.abs(mono).max()), 1e-6)), rate


def _described(clip: bytes) -> tuple[np.ndarray, np.ndarray]:
    wave = read_wave(clip)
    return spectrogram_picture(wave), mfcc_statistics(wave)


def _found(
    base: list[tuple[np.ndarray, np.ndarray]], copies: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[set[tuple[int, int]], float]:
    shown, heard = zip(*base, *copies, strict=True)
    start = time.process_time()
    pairs = find_copies(
        sha256=[str(row) for row in range(len(shown))],
        thumbnails=np.stack(shown),
        neighbours=nearest(np.stack(heard)),
    )
    cpu = time.process_time() - start
    return {(pair.first, pair.second) for pair in pairs if pair.score >= LEAST_SCORE}, cpu


TEXT_CHANGES: dict[str, Callable[[str], str]] = {
    "no punctuation": lambda text: "".join(sign for sign in text if sign.isalnum() or sign == " "),
    "upper case": str.upper,
    "one word left out": lambda text: " ".join(text.split()[:3] + text.split()[4:]),
    "a word added": lambda text: f"Hello, {text}",
    "two letters swapped": lambda text: text[:6] + text[7] + text[6] + text[8:],
}


def texts() -> Figures:
    """Questions of at least twelve words; shorter ones differ too much by one."""
    with gzip.open(SHARED / "data/banking77/train.csv.gz", "rt", newline="") as file:
        known = [row["text"].strip() for row in csv.DictReader(file)]
    base = [text for text in dict.fromkeys(known) if len(text.split()) >= 12][:TEXTS]
    chosen = np.random.default_rng(7).choice(len(base), TEXT_COPIES, replace=False).tolist()
    clean = _alike(base)
    yield {"figure": "banking77, nothing planted", "texts": len(base), "pairs": len(clean),
           "examples": [[base[i], base[j]] for i, j in sorted(clean)[:3]]}  # fmt: skip
    for kind, change in TEXT_CHANGES.items():
        pairs = _alike(base + [change(base[place]) for place in chosen])
        wanted = {(place, len(base) + at) for at, place in enumerate(chosen)}
        yield {"figure": f"banking77, {kind}", "planted": len(wanted),
               "recall": len(wanted & pairs) / len(wanted),
               "others": len(pairs - wanted - clean)}  # fmt: skip


def _alike(written: list[str]) -> set[tuple[int, int]]:
    pairs = find_copies(
        sha256=[str(row) for row in range(len(written))],
        texts=written,
    )
    return {(pair.first, pair.second) for pair in pairs if pair.score >= LEAST_SCORE}


SUBJECTS: dict[str, Callable[[], Figures]] = {
    "hashes": hashes,
    "pictures": pictures,
    "sounds": sounds,
    "texts": texts,
}


def main() -> None:
    """Print the figures of the subjects that were named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", choices=[*SUBJECTS, []], default=list(SUBJECTS))
    for subject in parser.parse_args().subjects:
        for figure in SUBJECTS[subject]():
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(json.dumps({"subject": subject, **figure, "peak_mb": peak}), flush=True)


if __name__ == "__main__":
    main()
