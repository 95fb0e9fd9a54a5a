"""All kinds of flags: the only list of them. One row is one question that people decide.

A detector reads a Survey and returns Doubts. A new kind: a row, a function in mlcore, a test;
how it becomes a Doubt stands in `quality/doubts/`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from labeling.models import Media
from quality.doubts import Doubt
from quality.doubts.classes import find_double_classes, find_shortcut_columns
from quality.doubts.copies import find_copy_sets, find_leakage, most_faint_leaks
from quality.doubts.images import find_odd_pictures, say_what_is_usual
from quality.doubts.labels import find_wrong_labels, most_candidates, say_who_was_not_asked
from quality.doubts.memory import say_what_memory_buys
from quality.doubts.odd_files import find_odd_files
from quality.doubts.order import find_ordered_files
from quality.doubts.outliers import find_far_out, most_outliers
from quality.doubts.shifts import find_shifted_splits
from quality.doubts.slices import find_worst_slices
from quality.doubts.sounds import find_bad_sound, find_odd_sound, say_how_mixed, say_how_tight
from quality.models import UNFLAGGED, Action
from quality.queries.survey import Survey

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Words = str | _StrPromise


@dataclass(frozen=True)
class Kind:
    """One kind of flag: its words, what a reviewer may do, and what raises it."""

    name: str
    title: "Words"
    checks: "Words"
    question: "Words"
    actions: tuple[Action, ...]
    find: Callable[[Survey], Iterable[Doubt]] | None = None
    media: tuple[str, ...] = (Media.IMAGE, Media.AUDIO, Media.TEXT)
    about: str = "item"
    bulk: Action | None = None  # suits all flags above a score, once a sample was judged
    score_is_share: bool = False  # right, as its check expects; else the score only ranks
    compares: bool = False  # items with each other: needs vectors, neighbours, small pictures
    is_doubt: bool = True  # else it has no queue of its own: drawn at random, mixed into one
    notice: Callable[[Survey], str] | None = None  # what is true of the whole set, said once
    most_candidates: Callable[[int], int] | None = None  # by number of items; None: all


LABEL_ACTIONS = (Action.RELABEL, Action.KEEP, Action.ROUND, Action.EXCLUDE, Action.MOVE)
COPY_ACTIONS = (Action.MERGE, Action.KEEP, Action.ROUND, Action.MOVE)
FILE_ACTIONS = (Action.EXCLUDE, Action.KEEP, Action.RELABEL, Action.ROUND, Action.MOVE)
CLASS_ACTIONS = (Action.SPLIT, Action.KEEP, Action.ROUND, Action.EXCLUDE)
GROUP_ACTIONS = (Action.CONFIRM, Action.KEEP, Action.ROUND, Action.EXCLUDE)
SOUND = (Media.AUDIO,)
PART_SHIFT = "part_shift"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "label_error",
            _("Label errors"),
            _("Labels that a model which never saw the item and its nearest neighbours doubt."),
            _("Is the label right?"),
            LABEL_ACTIONS,
            find_wrong_labels,
            bulk=Action.RELABEL,
            score_is_share=True,
            compares=True,
            notice=say_who_was_not_asked,
            most_candidates=most_candidates,
        ),
        Kind(
            "near_duplicate",
            _("Copies"),
            _("Items that are the same: in bytes, in pixels, alike, mirrored, turned, cropped."),
            _("Are these the same?"),
            COPY_ACTIONS,
            find_copy_sets,
            bulk=Action.MERGE,
            about="set",
            compares=True,
        ),
        Kind(
            "leakage",
            _("Leaks across splits"),
            _("Copies that stand in two splits, and sources that are in train and in test."),
            _("Does the model know a test answer by heart?"),
            (*COPY_ACTIONS, Action.EXCLUDE),
            find_leakage,
            about="set",
            compares=True,
            notice=say_what_memory_buys,
            most_candidates=most_faint_leaks,
        ),
        Kind(
            "silent_audio",
            _("Silent clips"),
            _("Clips that are silent, too quiet or hold nothing but noise."),
            _("Is there something to hear?"),
            FILE_ACTIONS,
            partial(find_bad_sound, kind="silent_audio"),
            bulk=Action.EXCLUDE,
            media=SOUND,
        ),
        Kind(
            "clipped_audio",
            _("Clipped clips"),
            _("Clips recorded so loud that their peaks are cut."),
            _("Is it still good enough?"),
            FILE_ACTIONS,
            partial(find_bad_sound, kind="clipped_audio"),
            bulk=Action.EXCLUDE,
            media=SOUND,
        ),
        Kind(
            "cut_audio",
            _("Cut-off clips"),
            _("Clips that start or stop in the middle of the sound, or are far too short."),
            _("Is everything there?"),
            FILE_ACTIONS,
            partial(find_bad_sound, kind="cut_audio"),
            bulk=Action.EXCLUDE,
            media=SOUND,
            notice=say_how_tight,
        ),
        Kind(
            "odd_audio",
            _("Odd recordings"),
            _("Clips of another rate or other channels than nearly all, too short, or half deaf."),
            _("Can it be used beside the others?"),
            FILE_ACTIONS,
            find_odd_sound,
            bulk=Action.EXCLUDE,
            media=SOUND,
            notice=say_how_mixed,
        ),
        Kind(
            "file_fault",
            _("Odd files"),
            _("Files with a wrong ending, a missing end, one even colour or a broken scale."),
            _("Is this file good enough?"),
            FILE_ACTIONS,
            find_odd_files,
            bulk=Action.EXCLUDE,
        ),
        Kind(
            "odd_image",
            _("Odd pictures"),
            _("Pictures that are dark, blurry, empty, framed or shaped unlike the others."),
            _("Can one see what it is?"),
            FILE_ACTIONS,
            find_odd_pictures,
            bulk=Action.EXCLUDE,
            media=(Media.IMAGE,),
            most_candidates=most_outliers,
            notice=say_what_is_usual,
        ),
        Kind(
            "outlier",
            _("Outliers"),
            _("Items far from everything else in the dataset."),
            _("Does it belong here?"),
            FILE_ACTIONS,
            find_far_out,
            bulk=Action.EXCLUDE,
            compares=True,
            most_candidates=most_outliers,
        ),
        Kind(
            "shortcut",
            _("Shortcuts"),
            _("Columns, names and ways of recording that give a class away."),
            _("Is it known when the model is used?"),
            (Action.CONFIRM, Action.KEEP),
            find_shortcut_columns,
            about="column",
            compares=True,
        ),
        Kind(
            "double_class",
            _("Classes that are two"),
            _("Classes whose items fall into two parts that few nearest neighbours join."),
            _("Does one name cover two things?"),
            CLASS_ACTIONS,
            find_double_classes,
            about="class",
            compares=True,
        ),
        Kind(
            "slice",
            _("Worst slices"),
            _("Clusters and values of columns where the model is clearly worse than elsewhere."),
            _("Is something wrong with these items?"),
            GROUP_ACTIONS,
            find_worst_slices,
            about="slice",
            compares=True,
        ),
        Kind(
            "split_shift",
            _("Splits that differ"),
            _("Splits whose classes or contents are unlike by more than chance."),
            _("Is it meant that these splits differ?"),
            (Action.CONFIRM, Action.KEEP),
            find_shifted_splits,
            about="split",
            compares=True,
        ),
        Kind(
            PART_SHIFT,
            _("Parts that differ"),
            _("Two parts that a lead asked about and that are unlike by more than chance."),
            _("Is it meant that these parts differ?"),
            (Action.CONFIRM, Action.KEEP),
            about="part",
        ),
        Kind(
            "file_order",
            _("Order of the file"),
            _("Items of one class, or alike, that stand side by side in the file as imported."),
            _("Is this order harmless for the splits?"),
            (Action.CONFIRM, Action.KEEP),
            find_ordered_files,
            about="split",
            compares=True,
        ),
        Kind(
            "manual",
            _("Flagged by people"),
            _("Items that somebody flagged while browsing."),
            _("What should happen with this item?"),
            FILE_ACTIONS,
        ),
        Kind(
            UNFLAGGED,
            _("Drawn at random"),
            _("Items that are not in the queue of label errors, to estimate what it misses."),
            _("Is the label right?"),
            (Action.RELABEL, Action.KEEP, Action.ROUND, Action.EXCLUDE),
            is_doubt=False,
        ),
    )
}


def titles() -> dict[str, str]:
    """Return what each kind of doubt is called, in the reader's language."""
    return {name: str(kind.title) for name, kind in KINDS.items() if kind.is_doubt}
