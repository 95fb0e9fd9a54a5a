"""What leads type to make a round, and what the annotation screen sends."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.models import Answer, Dataset, LabelClass, RoundKind, User
from labeling.queries import rounds

MOST_CLAIMS = 20  # items in one request
KINDS = [
    (RoundKind.CLASSIFY, _("Classify: what is it?")),
    (RoundKind.VERIFY, _("Verify: is the label right?")),
]
WHICH = [
    ("unlabelled", _("All without a label")),
    ("all", _("All")),
    ("keys", _("Those with the keys below")),
]


class RoundForm(forms.Form):
    """A new round of a dataset."""

    name = forms.CharField(label=_("Name"), max_length=120)
    kind = forms.ChoiceField(label=_("Kind"), choices=KINDS, widget=forms.RadioSelect)
    which = forms.ChoiceField(label=_("Items"), choices=WHICH, widget=forms.RadioSelect)
    keys = forms.CharField(
        label=_("Keys"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One a line, asked in this order. Only for items chosen by key."),
    )
    answers_wanted = forms.IntegerField(
        label=_("Answers for each item"),
        min_value=1,
        max_value=50,
        help_text=_("Different people; more than half must agree to give a label."),
    )
    people = forms.ModelMultipleChoiceField(
        label=_("People"),
        queryset=User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nobody chosen: every member of the dataset."),
    )
    purpose = forms.CharField(label=_("Purpose"), max_length=200, required=False)
    deadline = forms.DateTimeField(
        label=_("Due"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dataset = dataset
        people = self.fields["people"]
        assert isinstance(people, forms.ModelMultipleChoiceField)
        people.queryset = rounds.people_of(dataset)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["keys"] = [
            key.strip() for key in cleaned.get("keys", "").splitlines() if key.strip()
        ]
        if cleaned.get("which") == "keys":
            self._check_keys(cleaned["keys"])
        return cleaned

    def _check_keys(self, keys: list[str]) -> None:
        unknown = rounds.unknown_keys(self.dataset, keys)
        if not keys:
            self.add_error("keys", _("Name at least one key."))
        elif unknown:
            words = _("No item has the key %(keys)s.") % {"keys": ", ".join(unknown[:5])}
            self.add_error("keys", words)


class AnswerForm(forms.Form):
    """One answer as the screen or a program sends it."""

    client_id = forms.UUIDField()
    item = forms.IntegerField()
    answer = forms.ChoiceField(choices=Answer)
    label = forms.ModelChoiceField(queryset=LabelClass.objects.none(), required=False)
    reason = forms.CharField(max_length=200, required=False)
    seconds = forms.FloatField(min_value=0, required=False)

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        classes = self.fields["label"]
        assert isinstance(classes, forms.ModelChoiceField)
        classes.queryset = dataset.classes.all()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        names_a_class = cleaned.get("answer") == Answer.CLASS
        if names_a_class and not cleaned.get("label"):
            self.add_error("label", _("An answer with a class names the class."))
        if not names_a_class:
            cleaned["label"] = None
        return cleaned


class ItemsForm(forms.Form):
    """Items by id, as the screen names what it holds."""

    items = forms.JSONField()

    def clean_items(self) -> list[int]:
        items = self.cleaned_data["items"]
        if not isinstance(items, list) or not all(type(pk) is int for pk in items):
            raise forms.ValidationError(_("A list of item numbers is expected."))
        return items


class ClaimForm(forms.Form):
    """How many items the screen would like to hold."""

    count = forms.IntegerField(min_value=1, max_value=MOST_CLAIMS)


class WithdrawForm(forms.Form):
    """The answer to take back."""

    client_id = forms.UUIDField()
