"""The API of datasets."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from labeling.api.callers import Refusal, speaker
from labeling.models import Dataset
from labeling.services import datasets

router = Router()


class NewDataset(Schema):
    name: str = Field(min_length=1, max_length=120)
    media: Literal["image", "audio", "text"]
    slug: str = Field("", max_length=80, pattern=r"^[a-z0-9_-]*$")
    question: str = Field("", max_length=200)
    classes: list[str] = []
    task_card: dict[str, str] = {}
    answers_wanted: int = Field(1, ge=1, le=50)


class ClassOut(Schema):
    id: int
    name: str
    role: str


class DatasetOut(Schema):
    slug: str
    name: str
    media: str
    question: str
    classes: list[ClassOut]


@router.post("/datasets", response={201: DatasetOut, 409: Refusal}, summary="Make a dataset")
def create_dataset(request: HttpRequest, new: NewDataset) -> Any:
    """Whoever makes it owns it. Classes may also come later, from the labels of items."""
    try:
        made = datasets.create_dataset(by=speaker(request), **new.dict())
    except datasets.NameTakenError as taken:
        return Status(409, {"detail": str(taken)})
    return Status(201, _dataset(made))


def _dataset(dataset: Dataset) -> dict[str, Any]:
    named = ("slug", "name", "media", "question")
    return {name: getattr(dataset, name) for name in named} | {
        "classes": list(dataset.classes.all())
    }
