"""What leads type to extend a round, and what the annotation screen sends."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.forms.ids import MOST_ID
from labeling.forms.keys import KeysField, refuse_unknown
from labeling.models import (
    Answer,
    Dataset,
    Guideline,
    Item,
    SuggestionShown,
)
from labeling.queries import rounds

MOST_CLAIMS = 20  # items in one request


class ExtendForm(forms.Form):
    """More items, or more time, for a round that is there."""

    keys = KeysField(
        label=_("Further items"),
        required=False,
        help_text=_("Their keys, one a line; asked after the others."),
    )
    deadline = forms.DateTimeField(
        label=_("Due"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dataset = dataset

    def clean_keys(self) -> list[str]:
        keys: list[str] = self.cleaned_data["keys"]
        refuse_unknown(self.dataset, keys)
        return keys


CLASSES_NAMED = ("label", "asked", "suggestion")


class AnswerForm(forms.Form):
    """One answer as the screen or a program sends it."""

    client_id = forms.UUIDField()
    item = forms.IntegerField(min_value=0, max_value=MOST_ID)
    answer = forms.ChoiceField(choices=Answer)
    label = forms.IntegerField(required=False)
    asked = forms.IntegerField(required=False)
    is_parked = forms.BooleanField(required=False)
    suggestion = forms.IntegerField(required=False)
    suggestion_shown = forms.ChoiceField(choices=SuggestionShown, required=False)
    guideline = forms.IntegerField(required=False)
    reason = forms.CharField(max_length=200, required=False)
    seconds = forms.FloatField(min_value=0, required=False)

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dataset = dataset

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        named = {name: pk for name in CLASSES_NAMED if (pk := cleaned.get(name)) is not None}
        classes = rounds.classes_named(self.dataset, set(named.values()))
        for name, pk in named.items():
            cleaned[name] = classes.get(pk)
            if pk not in classes:
                self.add_error(name, _("The dataset has no such class."))
        names_a_class = cleaned.get("answer") == Answer.CLASS
        if names_a_class and not cleaned.get("label"):
            self.add_error("label", _("An answer with a class names the class."))
        if not names_a_class:
            cleaned["label"] = None
        if cleaned.get("answer") == Answer.NO and not cleaned.get("asked"):
            self.add_error("asked", _("A “No” names the class that it refuses."))
        return cleaned


class ItemsForm(forms.Form):
    """Items by id, as the screen names what it holds."""

    items = forms.JSONField()

    def clean_items(self) -> list[int]:
        items = self.cleaned_data["items"]
        if not isinstance(items, list) or not all(
            type(pk) is int and 0 <= pk <= MOST_ID for pk in items
        ):
            raise forms.ValidationError(_("A list of item numbers is expected."))
        return items


class ClaimForm(forms.Form):
    """How many items the screen would like to hold; sent again, it is the same request."""

    count = forms.IntegerField(min_value=1, max_value=MOST_CLAIMS)
    client_id = forms.UUIDField(required=False)


class WithdrawForm(forms.Form):
    """The answer to take back."""

    client_id = forms.UUIDField()


class QuestionForm(forms.Form):
    """A question to the lead, as the screen sends it."""

    client_id = forms.UUIDField()
    item = forms.ModelChoiceField(queryset=Item.objects.none(), required=False)
    text = forms.CharField(max_length=1000)

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        items = self.fields["item"]
        assert isinstance(items, forms.ModelChoiceField)
        items.queryset = dataset.items.all()


class ReplyForm(forms.Form):
    """A lead's reply."""

    text = forms.CharField(label=_("Reply"), max_length=1000)


class SeenForm(forms.Form):
    """The version of the guideline that was shown."""

    guideline = forms.ModelChoiceField(queryset=Guideline.objects.none())

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["guideline"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = dataset.guidelines.all()
