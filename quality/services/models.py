"""The model of a run as something to take along, and to try on one file."""

import io
import json
import secrets
import tempfile
import time
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.template.loader import render_to_string

from labeling import shards, storage
from labeling.models import Job, User
from labeling.queries.success import choice_of
from labeling.services import jobs
from labeling.services.jobs import Refused, Work
from quality import arrays
from quality.models import Run
from quality.queries.augmentation import augmentation_words
from quality.queries.heads import head_words
from quality.queries.runs import run_numbered
from quality.queries.success import figure_of
from quality.queries.verdict import verdict_of
from quality.services import heads, runs
from quality.services.features import choose_backbone
from quality.services.material import read_material

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.head import Head
    from mlcore.tuning import TunedHead

PACKAGE, TRYING = "package_model", "try_model"
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
TRIED_KEPT_SECONDS = 24 * 3600  # of a file whose job was cancelled
PIECE = 2**20


def package_path(run: Run) -> Path:
    """Return where the zip of a run lies once it was made."""
    return arrays.run_folder(run) / "model.zip"


def open_package(*, run: Run, by: User) -> Job:
    """Open the job that makes the zip of a run; the caller sends it."""
    return jobs.open_job(
        kind=PACKAGE, dataset=run.dataset, options={"run": run.number}, by=by, queue="train"
    )


def open_trial(*, run: Run, name: str, file: IO[bytes], by: User) -> Job:
    """Keep one file until it was read, and open the job that reads it; the caller sends it."""
    jobs.refuse_archived(run.dataset)
    storage.refuse_when_full()
    token = _keep(file)
    options = {"run": run.number, "file": token, "name": name[:200]}
    try:
        return jobs.open_job(
            kind=TRYING, dataset=run.dataset, options=options, by=by, queue="train"
        )
    except jobs.JobOpenError:
        (_tried_folder() / token).unlink(missing_ok=True)
        raise


def package_model(work: Work) -> dict[str, Any]:
    """Make the zip of a run: the body of a `package_model` job."""
    from mlcore.model_file import save_keras

    run = _run_of(work)
    head, backbone = _head_of(work, run)
    work.progress(message="Writing the model file", now=True)
    with tempfile.TemporaryDirectory() as folder:
        save_keras(head, path := Path(folder) / "model.keras")
        members = {
            "README.md": _card(run, backbone).encode(),
            "classes.json": _as_json(run.classes),
            "model.keras": path.read_bytes(),
            "preprocessing.json": _as_json(_preprocessing(run, backbone)),
        }
    work.check()
    content = _zipped(members)
    shards.save_file(package_path(run), lambda path: path.write_bytes(content))
    return {"run": run.number, "bytes": len(content), "backbone": backbone.name}


def try_model(work: Work) -> dict[str, Any]:
    """Say what the model of a run makes of one file: the body of a `try_model` job.

    The file goes when it was read, whatever came of it.
    """
    from mlcore.features import extract

    path = _tried_folder() / work.options["file"]
    if not path.exists():
        raise Refused("The file was read already and is not kept. Send it again.")
    run = _run_of(work)
    head, backbone = _head_of(work, run)
    work.progress(message=f"Reading the file: {backbone.title}", now=True)
    try:
        vector = extract(backbone, [path.read_bytes()])
    except ValueError as unusable:
        path.unlink()
        cause = unusable.__cause__ or unusable
        reason = getattr(cause, "reason", str(cause))  # without the code that reports sort by
        raise Refused(f"{work.options['name']} cannot be read: {reason}") from unusable
    told = head.predict(vector)[0]
    work.check()
    path.unlink(missing_ok=True)
    ranked = sorted(zip(run.classes, told.tolist(), strict=True), key=lambda pair: -pair[1])
    return {"run": run.number, "name": work.options["name"], "probabilities": ranked}


def _run_of(work: Work) -> Run:
    run = run_numbered(runs.dataset_of(work), work.options["run"])
    if run is None or run.finished_at is None or run.is_imported:
        raise Refused("Only a training that was finished has a model.")
    return run


def _head_of(work: Work, run: Run) -> "tuple[Head | TunedHead, Backbone]":
    material = read_material(run.version)
    backbone, _ = choose_backbone(work, material, named=run.backbone)
    head = heads.final_head(work, run, learned=material, backbone=backbone)
    return head, heads.read_by(run, backbone)


def _keep(file: IO[bytes]) -> str:
    folder = _tried_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.stat().st_mtime < time.time() - TRIED_KEPT_SECONDS:
            old.unlink(missing_ok=True)
    token = secrets.token_hex(16)
    with (folder / token).open("wb") as kept:
        while piece := file.read(PIECE):
            kept.write(piece)
    return token


def _tried_folder() -> Path:
    return Path(settings.DATA_DIR) / "tried"


def _card(run: Run, backbone: "Backbone") -> str:
    context = {
        "run": run,
        "dataset": run.dataset,
        "metrics": run.metrics,
        "backbone": backbone,
        "success": figure_of(run, choice_of(run.dataset)),
        "verdict": verdict_of(run),
        "head": head_words(run.protocol),
        "augmentation": ""
        if backbone.of
        else augmentation_words(run.protocol.get("augmentation", "")),
    }
    return render_to_string("quality/model_card.md", context)


def _preprocessing(run: Run, backbone: "Backbone") -> dict[str, Any]:
    return {
        "media": run.dataset.media,
        "backbone": backbone.name,
        "title": backbone.title,
        "dimensions": backbone.dimensions,
        "side_in_pixels": backbone.side or None,
        "weights_file": backbone.weights.name if backbone.weights else None,
        "made_by": "mlcore.features.extract",
        "standardised_by": None if backbone.of else "the first layer of model.keras",
    }


def _as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in sorted(members.items()):
            packed.writestr(zipfile.ZipInfo(name, ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
