"""What pages about quality accept."""

from io import BytesIO
from typing import IO, Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.forms.asking import ORDERS, RoundForm
from labeling.forms.ids import MOST_ID, ids_of
from labeling.models import Answer, Dataset, Media, RoundKind, Split, User
from labeling.models.datasets import LabelClass
from labeling.queries import rounds
from mlcore.protocols import CHANGES, FOLDS, HOLD_OUT, SEARCHES, TIME
from quality.detectors import KINDS
from quality.models import Action
from quality.queries.browse import MOST_AT_ONCE
from quality.queries.log import people_of

MOST_TRIED_TEXT = 20_000  # characters
MOST_TRIED_BYTES = 200 * 2**20  # as large as one file of an import


class OfDatasetForm(forms.Form):
    """A form that is told which dataset its values belong to."""

    def __init__(self, *args: Any, dataset: Dataset, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.dataset = dataset


class ButtonForm(OfDatasetForm):
    """What a button sends: the action, a colon, what it acts with, and how long that took."""

    action = forms.CharField(max_length=250)
    seconds = forms.FloatField(required=False, min_value=0)
    test_confirmed = forms.BooleanField(required=False)

    def class_in_use(self, argument: str) -> LabelClass:
        """Return the class that a button names."""
        usable = self.dataset.classes.filter(retired_at=None)
        label = usable.filter(pk=argument).first() if argument.isdigit() else None
        if label is None:
            raise forms.ValidationError(_("Choose a class of this dataset."))
        return label


class VersionsForm(OfDatasetForm):
    """Two versions of one dataset, by number."""

    old = forms.IntegerField(min_value=1)
    new = forms.IntegerField(min_value=1)

    def clean(self) -> dict[str, int]:
        chosen: dict[str, int] = super().clean() or {}
        known = set(self.dataset.versions.values_list("number", flat=True))
        if not set(chosen.values()) <= known:
            raise forms.ValidationError("no such version")
        return chosen


class LogForm(OfDatasetForm):
    """Which decisions to list; what is left out lets all through."""

    by = forms.ChoiceField(required=False, label=gettext_lazy("By"))
    action = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Decision"),
        choices=[("", gettext_lazy("any")), *Action.choices],
    )
    kind = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Doubt"),
        choices=[("", gettext_lazy("any")), *((kind.name, kind.title) for kind in KINDS.values())],
    )
    since = forms.DateField(
        required=False, label=gettext_lazy("From"), widget=forms.DateInput({"type": "date"})
    )
    until = forms.DateField(
        required=False, label=gettext_lazy("To"), widget=forms.DateInput({"type": "date"})
    )
    test = forms.BooleanField(required=False, label=gettext_lazy("Test items only"))

    def __init__(self, *args: Any, dataset: Dataset, **fields: Any) -> None:
        super().__init__(*args, dataset=dataset, **fields)
        by = self.fields["by"]
        assert isinstance(by, forms.ChoiceField)
        by.choices = [("", _("anybody")), *((name, name) for name in people_of(dataset))]


class TrialForm(forms.Form):
    """One text, or one file, that a model is tried on."""

    text = forms.CharField(
        max_length=MOST_TRIED_TEXT,
        label=gettext_lazy("Text"),
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    file = forms.FileField(
        label=gettext_lazy("File"), help_text=gettext_lazy("Choose one, or drop it on the button.")
    )

    def __init__(self, *args: Any, media: str, **options: Any) -> None:
        super().__init__(*args, **options)
        del self.fields["file" if media == Media.TEXT else "text"]

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MOST_TRIED_BYTES:
            raise forms.ValidationError(_("At most 200 MB."))
        return file

    def sent(self) -> tuple[str, IO[bytes]]:
        """Return what to call it, and its bytes."""
        if "text" in self.cleaned_data:
            text: str = self.cleaned_data["text"]
            return text[:60], BytesIO(text.encode())
        file = self.cleaned_data["file"]
        return file.name or "", file


def _seconds_words(seconds: int) -> str:
    words = gettext_lazy("about %(n)s s") if seconds else gettext_lazy("off")
    return words % {"n": seconds}


class TrainForm(forms.Form):
    """How the next training is judged; what is not sent stays as it was."""

    SCHEMES = (
        ("auto", gettext_lazy("what suits the size")),
        (FOLDS, gettext_lazy("folds")),
        (HOLD_OUT, gettext_lazy("one part held out")),
        (TIME, gettext_lazy("time: nothing later is learned")),
    )

    scheme = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Judged by"),
        widget=forms.Select({"class": "form-select form-select-sm"}),
    )

    search = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=gettext_lazy("Search over heads"),
        choices=[(n, _seconds_words(n)) for n in SEARCHES],
        widget=forms.Select({"class": "form-select form-select-sm"}),
    )
    augment = forms.BooleanField(required=False)  # tells that changes were offered: none is none
    changes = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: Any, dated: bool, media: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.offered = CHANGES[media]
        changes = self.fields["changes"]
        assert isinstance(changes, forms.MultipleChoiceField)
        changes.choices = [(change, change) for change in self.offered]
        scheme = self.fields["scheme"]
        assert isinstance(scheme, forms.ChoiceField)
        scheme.choices = [choice for choice in self.SCHEMES if dated or choice[0] != TIME]

    def asked(self) -> dict[str, Any]:
        """Return the options of the job."""
        sent = self.cleaned_data
        asked: dict[str, Any] = {}
        if sent["scheme"]:
            asked["scheme"] = "" if sent["scheme"] == "auto" else sent["scheme"]
        if sent["search"] is not None:
            asked["search"] = sent["search"]
        if sent["augment"]:
            asked["augmentation"] = "+".join(one for one in self.offered if one in sent["changes"])
        return asked


class RunPageForm(forms.Form):
    """What a run page shows: what cells say, beside which run, whose curves, which cell."""

    show = forms.ChoiceField(
        required=False, choices=[(name, name) for name in ("counts", "share", "difference")]
    )
    against = forms.IntegerField(required=False, min_value=1)
    fold = forms.IntegerField(required=False, min_value=1)
    given = forms.CharField(required=False, max_length=200)
    predicted = forms.CharField(required=False, max_length=200)


class PracticeForm(forms.Form):
    """Which class to find, from which probability, on a day of how many cases."""

    at = forms.FloatField(required=False, min_value=0, max_value=1)
    volume = forms.IntegerField(required=False, min_value=1, max_value=10**9)
    seconds = forms.FloatField(required=False, min_value=0, max_value=86_400)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["class"] = forms.CharField(required=False, max_length=100)


class DecideForm(ButtonForm):
    """A decision as its button sends it: the action, a colon, and what it acts with."""

    new_class = forms.CharField(required=False, max_length=100)

    def clean(self) -> dict[str, Any]:
        """Take the button's value apart into the arguments of `decide_flag`."""
        sent = super().clean() or {}
        name, _, argument = sent.get("action", "").partition(":")
        if name not in Action.values or name == Action.UNDO:
            raise forms.ValidationError("no such action")
        chosen: dict[str, Any] = {
            "action": Action(name),
            "seconds": sent.get("seconds") or 0.0,
            "test_confirmed": sent.get("test_confirmed", False),
            "new_class": sent.get("new_class", ""),
        }
        if name == Action.RELABEL and argument:
            found = self.dataset.classes.filter(pk=argument) if argument.isdigit() else None
            chosen["label"] = found.first() if found is not None else None
            if chosen["label"] is None:
                raise forms.ValidationError("no such class")
        elif name == Action.MERGE and argument.isdigit():
            chosen["keep"] = int(argument)
        elif name == Action.MOVE:
            chosen["split"] = argument
        elif name == Action.EXCLUDE:
            chosen["reason"] = argument
        return chosen


class MergeForm(forms.Form):
    """Which class becomes part of which, and the guideline that says so."""

    old = forms.ModelChoiceField(LabelClass.objects.none(), label=gettext_lazy("This class"))
    new = forms.ModelChoiceField(
        LabelClass.objects.none(), label=gettext_lazy("becomes part of this one")
    )
    text = forms.CharField(
        required=False,
        max_length=100_000,
        label=gettext_lazy("Guideline"),
        help_text=gettext_lazy("Say what the second class means from now on (Markdown)."),
        widget=forms.Textarea(attrs={"rows": 12}),
    )
    test_confirmed = forms.BooleanField(required=False)

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("old", "new"):
            field: Any = self.fields[name]
            field.queryset = dataset.classes.filter(retired_at__isnull=True)


class SecondForm(forms.Form):
    """What a second reviewer says of a proposal, the first one taking it back, or a lead."""

    ANSWERS = ("agree", "disagree", "withdraw", "do", "leave")

    answer = forms.ChoiceField(choices=[(name, name) for name in ANSWERS])
    words = forms.CharField(required=False, max_length=200)
    seconds = forms.FloatField(required=False, min_value=0)


class BulkForm(forms.Form):
    """What is done about a sample of a queue, or about the flags that it stands for."""

    STEPS = ("draw", "more", "drop", "decide", "keep", "undo")

    step = forms.ChoiceField(choices=[(name, name) for name in STEPS])
    least_score = forms.FloatField(required=False, min_value=0, max_value=1)
    test_confirmed = forms.BooleanField(required=False)


class MendingForm(forms.Form):
    """Which proposal of other splits is accepted, and that test items may change."""

    digest = forms.CharField(max_length=16)
    test_confirmed = forms.BooleanField(required=False)


class SelectionForm(ButtonForm):
    """What the bar below Browse sends about the items selected, or about all of its filter."""

    ACTIONS = (
        "relabel",
        "exclude",
        "include",
        "move",
        "tag",
        "flag",
        "round",
        "like",
        "pin",
        "unpin",
    )

    without_test = forms.BooleanField(required=False)
    reason = forms.CharField(required=False, max_length=200)
    own_reason = forms.CharField(required=False, max_length=200)
    note = forms.CharField(required=False, max_length=500)
    tag = forms.CharField(required=False, max_length=60)
    round_name = forms.CharField(required=False, max_length=120)
    round_kind = forms.ChoiceField(
        required=False, choices=[(kind, kind) for kind in (RoundKind.CLASSIFY, RoundKind.VERIFY)]
    )
    answers_wanted = forms.IntegerField(required=False, min_value=1, max_value=50)

    def __init__(
        self, *args: Any, dataset: Dataset, every: list[int] | None = None, **fields: Any
    ) -> None:
        super().__init__(*args, dataset=dataset, **fields)
        self.every = every

    def clean(self) -> dict[str, Any]:
        """Take the button apart (`relabel:7`, `move:train`) and read the items beside it."""
        sent = super().clean() or {}
        name, _sign, argument = sent.get("action", "").partition(":")
        if name not in self.ACTIONS:
            raise forms.ValidationError(_("There is no such action."))
        values = self.data.getlist("items") if hasattr(self.data, "getlist") else []
        items = ids_of(values) if self.every is None else self.every
        if not items:
            raise forms.ValidationError(_("Select items first."))
        if len(items) > MOST_AT_ONCE:
            words = _("At most %(n)s items are changed at once: narrow the filter.")
            raise forms.ValidationError(words, params={"n": f"{MOST_AT_ONCE:,}"})
        sent |= {"action": name, "items": list(dict.fromkeys(items))}
        if name == "relabel":
            sent["label"] = self.class_in_use(argument)
        elif name == "move":
            if argument not in Split.values:
                raise forms.ValidationError(_("There is no such split."))
            sent["split"] = argument
        elif name == "exclude":
            sent["reason"] = argument or sent.get("own_reason", "")
        elif name == "tag" and not sent.get("tag", "").strip():
            raise forms.ValidationError(_("Write the tag."))
        return sent


class DisputesForm(forms.Form):
    """Which dispute a page shows: of which round, which one, and what was put off."""

    round = forms.IntegerField(required=False, min_value=1, max_value=MOST_ID)
    place = forms.IntegerField(required=False, min_value=1, max_value=MOST_ID)
    later = forms.CharField(required=False, max_length=5_000)

    def clean_later(self) -> list[int]:
        return ids_of(self.cleaned_data["later"].split(","))


class OwnAnswerForm(OfDatasetForm):
    """The lead's own answer about a disputed item: `class:7`, `unsure` or `unusable`."""

    answer = forms.CharField(max_length=30)
    seconds = forms.FloatField(required=False, min_value=0)

    def clean(self) -> dict[str, Any]:
        sent = super().clean() or {}
        name, _sign, argument = sent.get("answer", "").partition(":")
        if name not in (Answer.CLASS, Answer.UNSURE, Answer.UNUSABLE):
            raise forms.ValidationError(_("There is no such answer."))
        label = self.dataset.classes.filter(pk=argument).first() if argument.isdigit() else None
        if name == Answer.CLASS and label is None:
            raise forms.ValidationError(_("Choose a class of this dataset."))
        return sent | {"answer": name, "label": label if name == Answer.CLASS else None}


class DisputeForm(ButtonForm):
    """What a lead decides about a disputed item: `relabel:7`, `exclude:reason` or `round`."""

    def clean(self) -> dict[str, Any]:
        sent = super().clean() or {}
        name, _sign, argument = sent.get("action", "").partition(":")
        if name not in (Action.RELABEL, Action.EXCLUDE, Action.ROUND):
            raise forms.ValidationError(_("There is no such action."))
        label = self.class_in_use(argument) if name == Action.RELABEL else None
        return sent | {"name": name, "argument": argument, "label": label}


class ShownRoundForm(RoundForm):
    """A round of all items that Browse shows."""

    ORDERS = (
        ("random", gettext_lazy("Random")),
        ("listed", gettext_lazy("By key")),
        ("worst", gettext_lazy("Worst doubts first")),
    )

    def __init__(self, *args: Any, dataset: Dataset, kind: str, **options: Any) -> None:
        super().__init__(*args, dataset=dataset, kind=kind, **options)
        self.keep_only([name for name in self.fields if name not in ("which", "keys")])
        if "order" in self.fields:
            learning = ORDERS[-1:] if kind == RoundKind.CLASSIFY else []
            self.fields["order"].choices = [*self.ORDERS, *learning]  # type: ignore[attr-defined]


class BlindForm(forms.Form):
    """How many labelled items people answer blind, and who."""

    size = forms.IntegerField(label=_("Items"), min_value=1)
    people = forms.ModelMultipleChoiceField(
        User.objects.none(),
        label=_("People"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nobody chosen: every member."),
    )

    def __init__(self, *args: Any, dataset: Dataset, most: int, **fields: Any) -> None:
        super().__init__(*args, **fields)
        people, size = self.fields["people"], self.fields["size"]
        assert isinstance(people, forms.ModelMultipleChoiceField)
        people.queryset = rounds.people_of(dataset)
        size.validators.append(MaxValueValidator(most))
        size.widget.attrs["max"] = most
