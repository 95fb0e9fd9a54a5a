"""Foreign items planted in real sets, and the sets as they are, a JSON line each.

    WINNOW_SHARED=... python bench/outliers.py

Spoken words among digits, photos of clothes among small pictures and the other way round, all
through the backbone of the set that they are planted in.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from mlcore.features import choose_backbones, extract  # noqa: E402
from mlcore.neighbours import nearest  # noqa: E402
from mlcore.outliers import find_outliers  # noqa: E402

SHARED = Path(os.environ.get("WINNOW_SHARED", "../shared"))
PLANTS = (  # set, its archive, where foreign items are from, kind, native side in pixels
    ("fsdd", "audio.zip", "speech_commands_sample/audio.zip", "audio", None),
    ("cifar10", "images.zip", "clothing/images.zip", "image", 32.0),
    ("clothing", "images.zip", "cifar10/images.zip", "image", 400.0),
)
PLANTED = (5, 15, 60)
MOST_ITEMS = 5_000


def some(archive: Path, n: int) -> list[bytes]:
    """Return n files of an archive, dealt out by one seed."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if name.endswith((".jpg", ".wav")))
        order = np.random.default_rng(0).permutation(len(names))[:n].tolist()
        return [files.read(names[at]) for at in order]


def main() -> None:
    for name, archive, other, media, side in PLANTS:
        backbone = choose_backbones(
            media, weights_folder=SHARED / "weights", keras_cache=None, native_side=side
        )[0]
        own = extract(backbone, some(SHARED / "data" / name / archive, MOST_ITEMS))
        foreign = extract(backbone, some(SHARED / "data" / other, max(PLANTED)))
        for n in (0, *PLANTED):
            found = find_outliers(nearest(np.concatenate([own, foreign[:n]])))
            first = np.argsort(-found.score, kind="stable")[:n]
            print(
                json.dumps(
                    {
                        "set": name,
                        "items": len(own),
                        "planted": n,
                        "among_first": int((first >= len(own)).sum()),
                        "marked": int(found.is_likely[len(own) :].sum()),
                        "own_marked": int(found.is_likely[: len(own)].sum()),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
