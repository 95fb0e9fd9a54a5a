"""What of the flags counts as written: figures about them are kept until it is."""

from labeling.models import WriteArea
from labeling.models.writes import ANY_DATASET
from labeling.triggers import Counted

COUNTED = (
    Counted(
        "quality_flag",
        WriteArea.FLAGS.value,
        ("dataset_id", "kind", "given", "state", "score", "is_likely", "expected"),
        rows=True,
    ),
    Counted(
        "quality_flagitem",
        WriteArea.FLAGS.value,
        ("flag_id", "item_id", "role"),
        rows=True,
        dataset="COALESCE((SELECT dataset_id FROM quality_flag WHERE id = {row}.flag_id), "
        f"{ANY_DATASET})",  # of a flag that went first
    ),
)
