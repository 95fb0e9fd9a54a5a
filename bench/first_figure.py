"""Wall and CPU seconds from sending a zip to the first honest figure: 15 classes x 20 photos.

    python bench/first_figure.py FOLDER

Ten classes of clothing photos and five of CIFAR-10, from the folder that WINNOW_SHARED names,
with its weights, on a new data folder below FOLDER. By `import_dataset` and `train`, each with a
start of its own; making the empty installation is not counted. All threads may be used.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.results_drive import Winnow, read_zip, scores, write_zip

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).resolve().parents[2] / "shared"))
EACH = 20
CLASSES = {"clothing": 10, "cifar10": 5}


def photos() -> dict[str, bytes]:
    """Return the first training photos of each class, one folder a class."""
    chosen: dict[str, bytes] = {}
    for name, n_classes in CLASSES.items():
        by_class: dict[str, list[tuple[str, bytes]]] = {}
        for path, content in sorted(read_zip(SHARED / "data" / name / "images.zip").items()):
            part, *folders, file = path.split("/")
            if part == "train" and folders:
                by_class.setdefault(folders[0], []).append((file, content))
        for folder in sorted(by_class)[:n_classes]:
            chosen |= {f"{folder}/{file}": content for file, content in by_class[folder][:EACH]}
    return chosen


def main(folder: Path) -> None:
    """Print one JSON line a step and one of all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        winnow = Winnow(Path(made) / "data", SHARED / "weights")
        sent = photos()
        packed = write_zip(Path(made) / "photos.zip", sent)
        steps = [
            winnow.command("import_dataset", "first", packed),
            winnow.command("train", "first"),
        ]
    figure = {"photos": len(sent), "classes": len({path.split("/")[0] for path in sent})}
    took = {name: round(sum(step[name] for step in steps), 1) for name in ("wall_s", "cpu_s")}
    print(json.dumps({**figure, **scores(steps[-1]), **took}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
