"""What the randomly drawn part of a learning round says about all of it."""

from typing import TYPE_CHECKING

from labeling.models import LabelSource, Round, RoundItem, RoundItemState, Split, Suggesting

if TYPE_CHECKING:
    from mlcore.intervals import Interval


def model_accuracy(asking: Round) -> "tuple[Interval, int] | None":
    """Return how often the newest run names the label that people gave, and of how many items.

    Only items that were drawn by lot count, so the figure stands for the whole round however
    the others were ordered. None where people see what the model thinks before they answer.
    """
    if not asking.is_learning or asking.suggesting == Suggesting.BEFORE:
        return None
    drawn = (
        RoundItem.objects.filter(round=asking, is_random=True)
        .exclude(state=RoundItemState.GOLD)
        .filter(item__label_source=LabelSource.CONSENSUS, item__excluded="")
        .filter(item__suggestion__isnull=False)
        .exclude(item__split=Split.TEST)
    )
    rows = list(
        drawn.values_list(
            "item_id", "item__source_group", "item__label_id", "item__suggestion__label_id"
        )
    )
    if not rows:
        return None
    import numpy as np

    from mlcore.intervals import accuracy_interval

    groups = np.unique(
        [f"group {group}" if group else f"item {pk}" for pk, group, *_ in rows],
        return_inverse=True,
    )[1].ravel()
    correct = np.array([label == guess for *_, label, guess in rows])
    return accuracy_interval(correct, groups), len(rows)
