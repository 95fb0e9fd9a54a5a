"""What pages accept on which people decide."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.forms.ids import MOST_ID, ids_of
from labeling.models import Answer, Dataset, RoundKind, Split
from labeling.models.datasets import LabelClass
from quality.forms import ButtonForm, OfDatasetForm
from quality.models import Action
from quality.queries.browse import MOST_AT_ONCE


class DecideForm(ButtonForm):
    """A decision as its button sends it: the action, a colon, and what it acts with."""

    new_class = forms.CharField(required=False, max_length=100)
    rule = forms.CharField(required=False, max_length=500)

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
            "rule": sent.get("rule", ""),
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
