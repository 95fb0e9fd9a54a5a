"""Telephone key tones in rooms and over lines, with faults that are known."""

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quality.demo.planting import Plan, PlannedClass, PlannedFile, Planting, write_csv
from quality.demo.truth import GOOD

RATE = 8000
"""Samples a second: the telephone's own."""
PAIRS = {
    "1": (697, 1209),
    "2": (697, 1336),
    "3": (697, 1477),
    "4": (770, 1209),
    "5": (770, 1336),
    "6": (770, 1477),
    "7": (852, 1209),
    "8": (852, 1336),
    "9": (852, 1477),
    "star": (941, 1209),
    "0": (941, 1336),
    "hash": (941, 1477),
}
"""Hz, ITU-T Q.23."""
DETUNING = 0.015
"""Largest deviation from the nominal frequency: what ITU-T Q.24 lets a receiver accept."""
KEYS = {"star": "s", "hash": "h"}


@dataclass(frozen=True)
class Source:
    """Where clips were recorded: level and noise in dB, echo in seconds, tilt of the noise.

    `tilt` 0 is white noise, 1 pink, 2 brown. `band` is the pass band of a line in Hz.
    """

    name: str
    level: float
    noise: float
    echo: float
    tilt: float
    band: tuple[float, float] | None = None


TRAIN_SOURCES = (
    Source("kitchen", level=-12, noise=-30, echo=0.25, tilt=1.0),
    Source("office", level=-15, noise=-34, echo=0.18, tilt=1.5),
    Source("workshop", level=-10, noise=-24, echo=0.30, tilt=0.6),
    Source("living-room", level=-18, noise=-36, echo=0.14, tilt=2.0),
    Source("landline", level=-14, noise=-32, echo=0.0, tilt=0.0, band=(300, 3400)),
    Source("mobile", level=-9, noise=-28, echo=0.0, tilt=0.8, band=(500, 2600)),
)
TEST_SOURCES = (
    Source("hallway", level=-13, noise=-30, echo=0.32, tilt=1.2),
    Source("intercom", level=-11, noise=-26, echo=0.08, tilt=0.4, band=(400, 3000)),
)
SHARED_SOURCE = Source("reception", level=-14, noise=-31, echo=0.20, tilt=1.0)
"""The one source that wrongly stands in train and in test."""

CLIPS_PER_SOURCE = 36
SHARED_TEST_CLIPS = 12
WRONG_LABELS = 15
"""Of 240 good clips in train: 6 %."""
FAULTS_OF_A_KIND = 5
EXACT_COPIES = 4
LEAKED_COPIES = 2

TONE_SECONDS = (0.22, 0.40)
LEAD_SECONDS = (0.14, 0.24)
TAIL_SECONDS = (0.26, 0.36)
"""Longer than the echo needs to fall by 45 dB, so that good clips end in their own noise."""
RAMP_SECONDS = 0.006
QUIET_LEVEL = -46.0
"""dB below full scale: hardly heard at a normal volume, still 40 dB above the rounding noise."""
LOUD_PEAK = 0.95
"""Of full scale: loud, and no sample is cut."""
OVERDRIVE = (3.0, 6.0)
"""How often over full scale a clipped clip was driven."""

QUESTION = "Which telephone key was pressed?"
TASK_CARD = {
    "user": "A help line that must understand key presses over bad lines.",
    "purpose": "Route the call, and ask again when unsure.",
    "success": "Accuracy on recordings from places that the model never heard.",
}
GUIDELINE = """\
# Which telephone key was pressed?

Each key sounds as two tones at once: the row gives the low one, the column the high one.

- Answer with the key you **hear**, also when it is quiet or the room echoes.
- Nothing but noise, or nothing at all: *unusable*, silent.
- The tone starts or stops at the very edge of the clip: *unusable*, cut off.
- It rattles because it was recorded too loud: *unusable*, clipped.
- Two keys in one clip: *unusable*.
"""


def plant_tones(folder: Path, *, seed: int) -> Plan:
    """Write the clips, their manifest and the truth below `folder`; same seed, same bytes."""
    rng = np.random.default_rng([seed, 2])
    planting = Planting()
    usable = _plant_good_clips(planting, rng)
    _plant_bad_sound(planting, rng)
    chosen = rng.permutation(usable)
    wrong, copied = chosen[:WRONG_LABELS], chosen[WRONG_LABELS:].tolist()
    _plant_wrong_labels(planting, wrong.tolist(), rng)
    _plant_copies(planting, copied, rng)
    keys = planting.keys("tone", rng=rng)
    truth_json, truth = planting.write(folder, keys)
    rows = sorted(
        (key, file.label, file.group, file.split)
        for key, file in zip(keys, planting.files, strict=True)
    )
    header = ["file", "label", "group", "split"]
    return Plan(
        slug="tones",
        title="Telephone keys",
        media="audio",
        folder=folder / "files",
        labels_csv=write_csv(folder / "labels.csv", header=header, rows=rows),
        annotations_csv=None,
        truth_json=truth_json,
        truth=truth,
        question=QUESTION,
        classes=tuple(PlannedClass(name, KEYS.get(name, name)) for name in PAIRS),
        task_card=TASK_CARD,
        guideline=GUIDELINE,
    )


def _plant_good_clips(planting: Planting, rng: np.random.Generator) -> list[int]:
    """Add clips of every key from every source; return those that may still get a fault."""
    usable = []
    for source in TRAIN_SOURCES:
        for label in _labels(CLIPS_PER_SOURCE):
            usable.append(planting.add(_file(source, label, press(source, label, rng=rng))))
    for source in TEST_SOURCES:
        for label in _labels(CLIPS_PER_SOURCE):
            sound = press(source, label, rng=rng)
            planting.add(_file(source, label, sound, split="test"))
    shared = []
    for turn, label in enumerate(_labels(CLIPS_PER_SOURCE)):
        split = "test" if turn < SHARED_TEST_CLIPS else "train"
        sound = press(SHARED_SOURCE, label, rng=rng)
        shared.append(planting.add(_file(SHARED_SOURCE, label, sound, split=split)))
    planting.fault("leakage", "one source in train and test", at=shared)
    return usable


def _labels(count: int) -> Iterator[str]:
    names = list(PAIRS)
    return (names[turn % len(names)] for turn in range(count))


def _file(source: Source, label: str, sound: np.ndarray, *, split: str = "train") -> PlannedFile:
    return PlannedFile(
        content=wav(sound), split=split, label=label, suffix=".wav", group=source.name
    )


def press(source: Source, label: str, *, rng: np.random.Generator) -> np.ndarray:
    """Record one key press: silence, tone with the echo of the place, silence, all in noise."""
    lead, length, tail = (
        int(RATE * rng.uniform(*span)) for span in (LEAD_SECONDS, TONE_SECONDS, TAIL_SECONDS)
    )
    dry = np.zeros(lead + length + tail)
    dry[lead : lead + length] = tone(label, length=length, rng=rng)
    wet = _band(_echo(dry, source, rng), source)
    wet *= _amplitude(source.level + rng.normal(0, 1.5)) / np.abs(wet).max()
    return wet + hiss(source, length=len(dry), rng=rng)


def tone(label: str, *, length: int, rng: np.random.Generator) -> np.ndarray:
    """Sound one key, slightly out of tune and with one tone louder, as real keypads do."""
    time = np.arange(length) / RATE
    sound = np.zeros(length)
    for frequency in PAIRS[label]:
        hertz = frequency * (1 + rng.uniform(-DETUNING, DETUNING))
        sound += rng.uniform(0.7, 1.0) * np.sin(2 * np.pi * (hertz * time + rng.uniform()))
    ramp = np.minimum(1, np.arange(length) / (RAMP_SECONDS * RATE))
    return sound * ramp * ramp[::-1]


def hiss(source: Source, *, length: int, rng: np.random.Generator) -> np.ndarray:
    """Sound the noise of a place: its colour and its level (root mean square, dB)."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    # Below 60 Hz no small microphone follows; the tilt would grow without end there.
    hertz = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 60)
    noise = _band(np.fft.irfft(spectrum * hertz ** (-source.tilt / 2), length), source)
    return noise * _amplitude(source.noise - 6 + rng.normal(0, 1)) / noise.std()


def _echo(dry: np.ndarray, source: Source, rng: np.random.Generator) -> np.ndarray:
    """Add a room's answer: noise that falls by 60 dB within `source.echo` seconds."""
    length = max(1, int(source.echo * RATE))
    answer = 0.05 * rng.normal(size=length) * 10 ** (-3 * np.arange(length) / length)
    answer[0] = 1
    size = len(dry) + length
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(answer, size), size)[: len(dry)]


def _band(sound: np.ndarray, source: Source) -> np.ndarray:
    if source.band is None:
        return sound
    low, high = source.band
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    # Fourth-order slopes instead of a wall, which would ring before the tone.
    gain = 1 / np.sqrt(1 + (low / np.maximum(hertz, 1)) ** 8) / np.sqrt(1 + (hertz / high) ** 8)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound))


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def wav(sound: np.ndarray) -> bytes:
    """Encode sound of -1 to 1 as 16-bit WAV; what is louder is cut, as a converter does."""
    samples = np.clip(np.round(sound * 32767), -32768, 32767).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return stream.getvalue()


def _plant_bad_sound(planting: Planting, rng: np.random.Generator) -> None:
    """Add clips with a fault that can be heard, and odd ones that are fine, all in train."""
    for kind, what in (
        ("silent_audio", "digital silence"),
        ("silent_audio", "noise only"),
        ("clipped_audio", "recorded too loud"),
        ("cut_audio", "starts inside the tone"),
        ("cut_audio", "ends inside the tone"),
        (GOOD, "nearly silent but good"),
        (GOOD, "loud but not clipped"),
    ):
        for _ in range(FAULTS_OF_A_KIND):
            source = TRAIN_SOURCES[rng.integers(len(TRAIN_SOURCES))]
            label = str(rng.choice(list(PAIRS)))
            sound = _spoil(press(source, label, rng=rng), what, source=source, rng=rng)
            planting.fault(kind, what, at=[planting.add(_file(source, label, sound))])


def _spoil(sound: np.ndarray, what: str, *, source: Source, rng: np.random.Generator) -> np.ndarray:
    peak = np.abs(sound).max()
    # The tone of every clip covers its samples from the longest lead on for the shortest tone.
    inside = int(RATE * (LEAD_SECONDS[1] + rng.uniform(0.03, 0.10)))
    if what == "digital silence":
        return np.zeros(len(sound))
    if what == "noise only":
        return hiss(source, length=len(sound), rng=rng)
    if what == "recorded too loud":
        return sound / peak * rng.uniform(*OVERDRIVE)
    if what == "starts inside the tone":
        return sound[inside:]
    if what == "ends inside the tone":
        before = hiss(source, length=int(RATE * rng.uniform(*TAIL_SECONDS)), rng=rng)
        return np.concatenate([before, sound[:inside]])
    if what == "nearly silent but good":
        return sound / peak * _amplitude(QUIET_LEVEL)
    return sound / peak * LOUD_PEAK


def _plant_wrong_labels(planting: Planting, chosen: list[int], rng: np.random.Generator) -> None:
    """Give clips the label of another key: a neighbour on the keypad, or any."""
    names = list(PAIRS)
    for turn, at in enumerate(chosen):
        file = planting.files[at]
        place = names.index(file.label)
        beside = [near for near in names if _are_beside(names.index(near), place)]
        nearby = turn % 3 == 0
        choices = (
            beside if nearby else [name for name in names if name not in {*beside, file.label}]
        )
        what = "the key beside it" if nearby else "some other key"
        planting.files[at] = PlannedFile(
            content=file.content,
            split=file.split,
            label=str(rng.choice(choices)),
            suffix=file.suffix,
            group=file.group,
        )
        planting.fault("label_error", what, at=[at], right_label=file.label)


def _are_beside(one: int, other: int) -> bool:
    """Whether two places on the keypad, three to a row, touch along an edge."""
    rows, columns = abs(one // 3 - other // 3), abs(one % 3 - other % 3)
    return rows + columns == 1


def _plant_copies(planting: Planting, chosen: list[int], rng: np.random.Generator) -> None:
    """Copy whole files within train and into test, where a copy is listed under a test source."""
    for at in chosen[:EXACT_COPIES]:
        planting.fault("near_duplicate", "exact copy", at=[at, planting.add(planting.files[at])])
    for at in chosen[EXACT_COPIES : EXACT_COPIES + LEAKED_COPIES]:
        file = planting.files[at]
        copy = PlannedFile(
            content=file.content,
            split="test",
            label=file.label,
            suffix=file.suffix,
            group=TEST_SOURCES[rng.integers(len(TEST_SOURCES))].name,
        )
        planting.fault("leakage", "exact copy in test", at=[at, planting.add(copy)])
