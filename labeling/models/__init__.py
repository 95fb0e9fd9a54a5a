"""Tables of the labeling app, one file a subject."""

from labeling.models.datasets import (
    ClassRole,
    Dataset,
    Guideline,
    LabelClass,
    Media,
    Split,
    Version,
)
from labeling.models.items import (
    Content,
    Item,
    ItemTag,
    LabelChange,
    LabelSource,
    Outcome,
    Upload,
    UploadEntry,
)
from labeling.models.jobs import Job, JobState
from labeling.models.people import Annotator, ApiToken, Invitation, Membership, Role, User
from labeling.models.rounds import (
    Annotation,
    Answer,
    Claim,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
)

__all__ = [
    "Annotation",
    "Annotator",
    "Answer",
    "ApiToken",
    "Claim",
    "ClassRole",
    "Content",
    "Dataset",
    "Guideline",
    "Invitation",
    "Item",
    "ItemTag",
    "Job",
    "JobState",
    "LabelChange",
    "LabelClass",
    "LabelSource",
    "Media",
    "Membership",
    "Outcome",
    "Role",
    "Round",
    "RoundItem",
    "RoundItemState",
    "RoundKind",
    "Split",
    "Upload",
    "UploadEntry",
    "User",
    "Version",
]
