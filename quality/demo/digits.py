"""Handwritten digits: scikit-learn's real scans, enlarged, with faults that are known."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from quality.demo.annotators import Annotator, Answers, ask
from quality.demo.planting import Plan, PlannedClass, PlannedFile, Planting, write_csv
from quality.demo.truth import REJECTED

TRAIN_PER_CLASS = 84
TEST_PER_CLASS = 20
ASKED_THRICE = 300
"""Train items with three answers instead of one."""
PEOPLE = (
    Annotator("amira", 0.02),
    Annotator("bence", 0.05),
    Annotator("chidi", 0.09, habits={1: 7, 7: 1}),
    Annotator("dagny", 0.15),
    Annotator("emil", 0.20, habits={4: 9, 9: 4}),
)
"""Together 7 % of the train labels come out wrong (5.7 to 7.8 % over 20 seeds)."""

COPIES_OF_A_KIND = 6
LEAKS_SAME_LABEL = 6
LEAKS_TWO_LABELS = 2

TWIN_DISTANCE = 12.0
"""Grey levels of 16, Euclidean over 64 pixels. Two scans closer than this look like copies of
each other (the closest 137 pairs of 1.6 million); one of them is left out, so that every copy
in the data set was planted."""
MIRROR_DISTANCE = 30.0
"""Same unit: a scan at least this far from its own mirror image is a distinct picture when
mirrored (the quarter of the noughts nearest to symmetric are below 22)."""
MIRRORED_CLASSES = (0, 1, 4, 8)
"""A mirrored one of these can still be read, so that its label stays right."""

SCAN_PIXEL = 12
"""Pixels on a side that one scanned pixel becomes; with a margin of one, 120 x 120."""
PAPER = np.array([[246, 243, 235], [238, 240, 243], [250, 249, 247], [240, 233, 218]])
INK = np.array([[28, 36, 84], [34, 34, 38], [62, 60, 64], [20, 52, 110]])
JPEG_QUALITY = 88
POOR_JPEG_QUALITY = 30
SHIFT_PIXELS = 3
BRIGHTER = 1.18

QUESTION = "Which digit is written here?"
TASK_CARD = {
    "user": "A sorting desk that reads handwritten digits off paper forms.",
    "purpose": "Fill in the number, and ask a person when unsure.",
    "success": "Accuracy on the test scans, and no digit class below 85 % recall.",
}
GUIDELINE = """\
# Which digit is written here?

Name the digit that the **writer meant**, 0 to 9.

- A **1** may have a flag and a foot; a **7** has a long flat top, often with a bar.
- A **9** has a closed loop; a **4** is open or has sharp corners.
- Mirrored or shifted scans keep the digit that was written.
- Nothing on the paper, or more than one digit: *unusable*.
- If two digits are equally likely, say *unsure*: a guess does more harm.
"""


@dataclass(frozen=True)
class Scans:
    """Real scans of shape (n, 8, 8), 0 to 16; true digits; what each is easiest mistaken for."""

    pixels: np.ndarray
    digits: np.ndarray
    look_alikes: np.ndarray
    ambiguity: np.ndarray


def plant_digits(folder: Path, *, seed: int) -> Plan:
    """Write the digits, their answers and the truth below `folder`; same seed, same bytes."""
    rng = np.random.default_rng([seed, 1])
    scans = load_scans()
    train, test = _split(scans, rng)
    answers = ask(
        PEOPLE,
        scans.digits[train],
        look_alikes=scans.look_alikes[train],
        ambiguity=scans.ambiguity[train],
        asked_thrice=ASKED_THRICE,
        rng=rng,
    )
    planting = Planting()
    pictures = [draw(scans.pixels[scan], rng=rng) for scan in train]
    for picture, label in zip(pictures, answers.labels, strict=True):
        planting.add(_jpeg(picture, split="train", label=label))
    for scan in test:
        picture = draw(scans.pixels[scan], rng=rng)
        planting.add(_jpeg(picture, split="test", label=scans.digits[scan]))
    for item, mistake in answers.mistakes.items():
        right = str(scans.digits[train[item]])
        planting.fault("label_error", mistake, at=[item], right_label=right)
    taken = set(answers.mistakes)
    _plant_copies(planting, pictures, scans=scans, train=train, taken=taken, rng=rng)
    _plant_leaks(planting, pictures, scans=scans, train=train, taken=taken, rng=rng)
    _plant_odd_files(planting, scans=scans, unused=_unused(scans, train, test), rng=rng)
    keys = planting.keys("digit", rng=rng)
    truth_json, truth = planting.write(folder, keys)
    return Plan(
        slug="digits",
        title="Handwritten digits",
        media="image",
        folder=folder / "files",
        labels_csv=None,
        annotations_csv=_write_answers(folder, answers, keys=keys),
        truth_json=truth_json,
        truth=truth,
        question=QUESTION,
        classes=tuple(PlannedClass(str(digit), str(digit)) for digit in range(10)),
        task_card=TASK_CARD,
        guideline=GUIDELINE,
    )


def load_scans() -> Scans:
    """Load the real scans without twins, with the class that each resembles most."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    flat, digits = bunch.data.astype(np.float64), bunch.target
    squares = (flat**2).sum(1)
    squared = squares[:, None] + squares[None] - 2 * flat @ flat.T
    distances = np.sqrt(np.maximum(squared, 0))
    np.fill_diagonal(distances, np.inf)
    nearest = np.stack([distances[:, digits == digit].min(1) for digit in range(10)], axis=1)
    own = nearest[np.arange(len(digits)), digits]
    nearest[np.arange(len(digits)), digits] = np.inf
    # The fourth power makes the hardest scans many times likelier to be mistaken.
    ambiguity = (own / nearest.min(1)) ** 4
    keep = ~np.triu(distances < TWIN_DISTANCE, 1).any(0)
    return Scans(
        pixels=flat.reshape(-1, 8, 8)[keep],
        digits=digits[keep],
        look_alikes=nearest.argmin(1)[keep],
        ambiguity=ambiguity[keep],
    )


def _split(scans: Scans, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    train, test = [], []
    for digit in range(10):
        chosen = rng.permutation(np.flatnonzero(scans.digits == digit))
        train.append(chosen[:TRAIN_PER_CLASS])
        test.append(chosen[TRAIN_PER_CLASS : TRAIN_PER_CLASS + TEST_PER_CLASS])
    return np.concatenate(train), np.concatenate(test)


def _unused(scans: Scans, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(len(scans.digits)), np.concatenate([train, test]))


def draw(pixels: np.ndarray, *, rng: np.random.Generator) -> Image.Image:
    """Enlarge one scan smoothly and put it as ink on paper: 120 x 120, colour."""
    side = SCAN_PIXEL * (pixels.shape[0] + 2)
    small = Image.fromarray(np.pad(pixels / 16, 1).astype(np.float32), mode="F")
    ink = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))
    # Soft threshold: a stroke gets an edge, and the scan's greys stay visible.
    ink = np.clip((ink - 0.12) / 0.62, 0, 1)
    ink = (ink * ink * (3 - 2 * ink))[..., None]
    paper = PAPER[rng.integers(len(PAPER))] + rng.normal(0, 2, 3)
    colour = INK[rng.integers(len(INK))] + rng.normal(0, 6, 3)
    slope = np.linspace(-1, 1, side)
    light = 1 + 0.02 * (rng.normal() * slope[:, None] + rng.normal() * slope[None])[..., None]
    shown = (paper * (1 - ink) + colour * ink) * light + rng.normal(0, 1.5, (side, side, 1))
    return Image.fromarray(np.clip(shown, 0, 255).round().astype(np.uint8))


def encode(picture: Image.Image, kind: str, *, quality: int = JPEG_QUALITY) -> bytes:
    """Encode a picture as "JPEG" or "PNG"."""
    stream = io.BytesIO()
    picture.save(stream, kind, quality=quality)
    return stream.getvalue()


def _jpeg(
    picture: Image.Image, *, split: str, label: int, quality: int = JPEG_QUALITY
) -> PlannedFile:
    content = encode(picture, "JPEG", quality=quality)
    return PlannedFile(content=content, split=split, label=str(label), suffix=".jpg")


def _plant_copies(
    planting: Planting,
    pictures: list[Image.Image],
    *,
    scans: Scans,
    train: np.ndarray,
    taken: set[int],
    rng: np.random.Generator,
) -> None:
    """Add changed copies of train pictures to train, with the label of the original."""
    mirrored = np.abs(scans.pixels - scans.pixels[:, :, ::-1])
    lopsided = np.sqrt((mirrored**2).sum((1, 2)))[train] > MIRROR_DISTANCE
    readable = np.isin(scans.digits[train], MIRRORED_CLASSES)
    every = np.ones(len(train), dtype=bool)
    for what, allowed in (
        ("mirrored", lopsided & readable),
        (f"shifted {SHIFT_PIXELS} px", every),
        ("re-encoded", every),
        ("brightened", every),
    ):
        for item in _choose(allowed, count=COPIES_OF_A_KIND, taken=taken, rng=rng):
            quality = POOR_JPEG_QUALITY if what == "re-encoded" else JPEG_QUALITY
            digit = scans.digits[train[item]]
            copy = _jpeg(
                _changed(pictures[item], what), split="train", label=digit, quality=quality
            )
            planting.fault("near_duplicate", what, at=[item, planting.add(copy)])


def _changed(picture: Image.Image, what: str) -> Image.Image:
    if what == "mirrored":
        return ImageOps.mirror(picture)
    if what == "brightened":
        return picture.point([min(255, round(level * BRIGHTER + 12)) for level in range(256)] * 3)
    if what.startswith("shifted"):
        pixels = np.asarray(picture)
        # The edge repeats itself, as paper does; a black rim would give the copy away.
        padded = np.pad(pixels, ((0, SHIFT_PIXELS), (SHIFT_PIXELS, 0), (0, 0)), mode="edge")
        return Image.fromarray(padded[SHIFT_PIXELS:, : pixels.shape[1]])
    return picture


def _choose(
    allowed: np.ndarray, *, count: int, taken: set[int], rng: np.random.Generator
) -> list[int]:
    """Choose items that carry no other fault, and mark them as taken."""
    free = [int(item) for item in np.flatnonzero(allowed) if item not in taken]
    chosen = rng.choice(free, size=count, replace=False).tolist()
    taken.update(chosen)
    return chosen


def _plant_leaks(
    planting: Planting,
    pictures: list[Image.Image],
    *,
    scans: Scans,
    train: np.ndarray,
    taken: set[int],
    rng: np.random.Generator,
) -> None:
    """Add copies of train pictures to test: the same bytes or saved again, two mislabelled."""
    every = np.ones(len(train), dtype=bool)
    items = _choose(every, count=LEAKS_SAME_LABEL + LEAKS_TWO_LABELS, taken=taken, rng=rng)
    for turn, item in enumerate(items):
        two_labels = turn >= LEAKS_SAME_LABEL
        label = (scans.look_alikes if two_labels else scans.digits)[train[item]]
        quality = POOR_JPEG_QUALITY if turn % 2 else JPEG_QUALITY
        what = "re-encoded copy in test" if turn % 2 else "exact copy in test"
        what = "copy in test with another label" if two_labels else what
        copy = _jpeg(pictures[item], split="test", label=label, quality=quality)
        planting.fault("leakage", what, at=[item, planting.add(copy)])


def _plant_odd_files(
    planting: Planting, *, scans: Scans, unused: np.ndarray, rng: np.random.Generator
) -> None:
    """Add an empty sheet, half a JPEG and a PNG that calls itself .jpg, all in train."""
    misnamed, truncated = rng.choice(unused, size=2, replace=False)
    blank = draw(np.zeros((8, 8)), rng=rng)
    whole = encode(draw(scans.pixels[truncated], rng=rng), "JPEG")
    png = encode(draw(scans.pixels[misnamed], rng=rng), "PNG")
    for content, label, kind, what in (
        (encode(blank, "JPEG"), rng.integers(10), "file_fault", "blank"),
        (whole[: len(whole) // 2], scans.digits[truncated], REJECTED, "truncated JPEG"),
        (png, scans.digits[misnamed], "file_fault", "PNG named .jpg"),
    ):
        file = PlannedFile(content=content, split="train", label=str(label), suffix=".jpg")
        planting.fault(kind, what, at=[planting.add(file)])


def _write_answers(folder: Path, answers: Answers, *, keys: list[str]) -> Path:
    rows = sorted((keys[a.item], a.annotator, str(a.label)) for a in answers.given)
    return write_csv(folder / "annotations.csv", header=["item", "annotator", "answer"], rows=rows)
