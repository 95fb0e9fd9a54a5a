"""Sound checks: planted faults, untouched clips, the peers' clips, and what they cost.

    WINNOW_SHARED=... python bench/sound_checks.py [faults] [untouched] [peers] [speed]

Prints one JSON line a figure. Each fault is planted in a random tenth of a real set, five times;
a set is judged as the app judges it (typical length and tight cuts by the set). Arabic words are
where the goals are asked for; the other sets show whether a limit is fitted to them.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mlcore.sound_checks import TIGHT_SHARE, check_sound, tight_share  # noqa: E402
from mlcore.sounds import measure_sound, measure_sounds  # noqa: E402

SHARED = Path(os.environ.get("WINNOW_SHARED", ROOT.parent / "shared"))
SETS = ("arabic_speech_commands", "lithuanian_speech_commands", "speech_commands_sample", "fsdd")
BACKGROUND = "_background_noise_"
SEEDS = range(5)
PLANTED_SHARE = 0.1
BAR_CLIPS_A_CPU_S = 4000  # issue 4; librosa's load and rms alone reach 3,800
ROUNDS = 4
BAR_F1, BAR_UNTOUCHED = 0.97, 0.01
SOUND_WITHIN_DB = 30.0  # of the loudest 20 ms: where a word is, for noise put in its place
ALIKE_LENGTHS = 0.05  # as quality.doubts.sounds
Figures = Iterator[dict[str, Any]]
Facts = dict[str, Any]
Fault = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _silence(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(wave)


def _soft(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return wave * 10 ** (-60 / 20)


def _clipped(depth: float, *, driven: bool) -> Fault:
    """Return a fault that cuts peaks at a share of the peak, at full scale where driven."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        top = depth * np.abs(wave).max()
        return np.clip(wave, -top, top) / (top if driven else 1)

    return plant


def _one_sided(depth: float) -> Fault:
    """Return a fault that cuts the tops of one side alone at a share of that side's own peak."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        side = rng.choice([1, -1])
        return side * np.minimum(side * wave, depth * (side * wave).max())

    return plant


def _cut(*, filled: bool, most: float = 0.6) -> Fault:
    """Return a fault that takes a tenth to six tenths of the energy off one end."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        back = rng.random() < 0.5
        sound = wave[::-1] if back else wave
        energy = np.cumsum((sound - sound.mean()) ** 2)
        lost = int(np.searchsorted(energy, rng.uniform(0.1, most) * energy[-1])) + 1
        kept = sound[lost:]
        if filled:
            kept = np.concatenate([np.zeros(lost), kept] if rng.random() < 0.5 else
                                  [kept, np.zeros(lost)])  # fmt: skip
        return kept[::-1] if back else kept

    return plant


def _noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """White, pink or brown noise of power 1."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    slope = rng.choice([0.0, 0.5, 1.0])
    spectrum /= np.maximum(np.arange(len(spectrum)), 1 + n // 400) ** slope
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def _noise_instead(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise all over the clip, 0 to 10 dB above the word that it replaces."""
    return _fitted(_noise(len(wave), rng) * wave.std() * 10 ** (rng.uniform(0, 10) / 20))


def _noise_burst(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise where the word was, 0 to 10 dB above it; the room before and after stays."""
    size = rate // 50
    power = wave[: len(wave) // size * size].reshape(-1, size).var(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-SOUND_WITHIN_DB / 10))
    word = slice(loud[0] * size + rng.integers(size), (loud[-1] + 1) * size - rng.integers(size))
    noise = _noise(len(wave[word]), rng) * wave[word].std() * 10 ** (rng.uniform(0, 10) / 20)
    return _fitted(np.concatenate([wave[: word.start], noise, wave[word.stop :]]))


def _drowned(snr_db: float) -> Fault:
    """Return a fault that adds noise over the word at a signal-to-noise ratio."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        return _fitted(wave + _noise(len(wave), rng) * wave.std() * 10 ** (-snr_db / 20))

    return plant


def _fitted(wave: np.ndarray) -> np.ndarray:
    """Turn down what would clip, so that one fault is planted, not two."""
    return wave / max(1.0, 1.02 * float(np.abs(wave).max()))


FAULTS: dict[str, tuple[str, Fault]] = {
    "silence": ("silent_audio", _silence),
    "60 dB softer": ("silent_audio", _soft),
    **{
        f"clipped at {depth} of the peak, {'full scale' if driven else 'same level'}": (
            "clipped_audio",
            _clipped(depth, driven=driven),
        )
        for driven in (True, False)
        for depth in (0.7, 0.5, 0.3, 0.1)
    },
    **{
        f"clipped on one side at {depth} of its peak": ("clipped_audio", _one_sided(depth))
        for depth in (0.7, 0.5, 0.3)
    },
    "cut, shorter": ("cut_audio", _cut(filled=False)),
    "cut, filled with zeros": ("cut_audio", _cut(filled=True)),
    "cut by just a tenth, filled with zeros": ("cut_audio", _cut(filled=True, most=0.1)),
    "noise instead of the clip": ("silent_audio", _noise_instead),
    "noise instead of the word": ("silent_audio", _noise_burst),
    **{f"word in noise, SNR {snr} dB": ("silent_audio", _drowned(snr)) for snr in (0, -5, -10)},
}


def faults() -> Figures:
    """Each fault in a tenth of the words of each set."""
    for name in SETS:
        words = {path: clip for path, clip in _clips(name).items() if BACKGROUND not in path}
        if name == "fsdd":  # every sixth: all speakers and digits
            words = dict(list(words.items())[::6])
        plain = {path: measure_sound(clip, path).facts for path, clip in words.items()}
        for fault, (kind, plant) in FAULTS.items():
            yield {"set": name, "fault": fault, **_planted(words, plain, kind, plant)}


def _planted(
    words: dict[str, bytes], plain: dict[str, Facts], kind: str, plant: Fault
) -> dict[str, Any]:
    hits = missed = alarms = untouched = flagged = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        names = sorted(words)
        chosen = set(rng.choice(names, round(PLANTED_SHARE * len(names)), replace=False))
        facts = {
            name: _measured(plant(*_played(words[name]), rng), words[name])
            if name in chosen
            else plain[name]
            for name in names
        }
        doubts = _doubts(facts)
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


def _played(clip: bytes) -> tuple[np.ndarray, int]:
    wave, rate = soundfile.read(io.BytesIO(clip), dtype="float64")
    return wave, rate


def _measured(wave: np.ndarray, original: bytes) -> Facts:
    out = io.BytesIO()
    soundfile.write(out, wave, soundfile.info(io.BytesIO(original)).samplerate,
                    format="WAV", subtype="PCM_16")  # fmt: skip
    return measure_sound(out.getvalue(), "a.wav").facts


def _doubts(facts: dict[str, Facts]) -> dict[str, set[str]]:
    """Judge a set as the app does."""
    low, middle, high = np.percentile([one["seconds"] for one in facts.values()], [25, 50, 75])
    typical = float(middle) if high - low <= ALIKE_LENGTHS * middle else None
    tight = tight_share(facts.values()) >= TIGHT_SHARE
    return {
        name: {doubt.kind for doubt in check_sound(one, typical_seconds=typical, cut_tight=tight)}
        for name, one in facts.items()
    }


def _clips(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(SHARED / "data" / name / "audio.zip") as packed:
        return {path: packed.read(path) for path in packed.namelist() if path.endswith(".wav")}


def untouched() -> Figures:
    """What is flagged of real clips as they are."""
    for name in SETS:
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
    parts = {"faults": faults, "untouched": untouched, "peers": peers, "speed": speed}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    for part in parser.parse_args().parts or list(parts):
        for figure in parts[part]():
            print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
