"""What leads type to make a round, and what the annotation screen sends."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.forms.ids import MOST_ID
from labeling.models import (
    Answer,
    Dataset,
    Guideline,
    Item,
    RoundKind,
    Suggesting,
    SuggestionShown,
    User,
)
from labeling.queries import rounds

MOST_CLAIMS = 20  # items in one request
KINDS = [
    (RoundKind.CLASSIFY, _("Classify: what is it?")),
    (RoundKind.VERIFY, _("Verify: is the label right?")),
]
SUGGESTING = [
    (Suggesting.OFF, _("Off")),
    (Suggesting.AFTER, _("Hidden until answered")),
    (Suggesting.BEFORE, _("Shown beside the item")),
]
WHICH = [
    ("unlabelled", _("All without a label")),
    ("all", _("All")),
    ("keys", _("Those with the keys below")),
]


ORDERS = [
    ("random", _("Random")),
    ("listed", _("As listed: by key, or in the order of the keys below")),
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
        help_text=_("One a line. Only for items chosen by key."),
    )
    order = forms.ChoiceField(label=_("Order"), choices=ORDERS, required=False)
    answers_wanted = forms.IntegerField(
        label=_("Answers for each item"),
        min_value=1,
        max_value=50,
        help_text=_(
            "Different people. Their majority gives a label at once; then the consensus of the"
            " whole crowd, which knows whom to believe, gives or changes it."
        ),
    )
    confident = forms.FloatField(
        label=_("Ask until so sure"),
        required=False,
        min_value=0.5,
        max_value=0.999,
        widget=forms.NumberInput(attrs={"step": "any", "placeholder": "0.9"}),
        help_text=_(
            "Empty: always the number above. Else that is the most, and an item is settled as "
            "soon as its answers make one class so probable, by how often each person is right "
            "on check items and with the others."
        ),
    )
    answers_least = forms.IntegerField(
        label=_("But at least so many answers"),
        required=False,
        min_value=1,
        max_value=50,
        help_text=_("Only with the field above. Empty: two."),
    )
    people = forms.ModelMultipleChoiceField(
        label=_("People"),
        queryset=User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nobody chosen: every member of the dataset."),
    )
    suggesting = forms.ChoiceField(
        label=_("Suggestions of the model"),
        choices=SUGGESTING,
        required=False,
        help_text=_(
            "They come with the next training. A random tenth never shows any, so that their"
            " pull can be measured."
        ),
    )
    gold_every = forms.IntegerField(
        label=_("One check item in"),
        min_value=0,
        max_value=100,
        required=False,
        help_text=_(
            "Items whose answer is known, mixed in unseen to measure people: 10 is one in ten, "
            "0 none. They are made on an item’s page, in Browse or on the page Check items."
        ),
    )
    purpose = forms.CharField(label=_("Purpose"), max_length=200, required=False)
    deadline = forms.DateTimeField(
        label=_("Due"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    price = forms.DecimalField(
        label=_("Price of an answer"),
        required=False,
        min_value=0,
        max_digits=8,
        decimal_places=4,
        help_text=_("In your currency; the round's page then says what it costs."),
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
        self._clean_least(cleaned)
        cleaned["gold_every"] = cleaned.get("gold_every") or 0
        if cleaned["gold_every"] == 1:
            self.add_error("gold_every", _("2 or more: there must be something left to ask."))
        cleaned["suggesting"] = cleaned.get("suggesting") or Suggesting.OFF
        if cleaned.get("which") == "keys":
            self._check_keys(cleaned["keys"])
        return cleaned

    def _clean_least(self, cleaned: dict[str, Any]) -> None:
        cleaned["confident"] = cleaned.get("confident") or 0.0
        most = cleaned.get("answers_wanted") or 1
        least = cleaned.get("answers_least") or min(2, most)
        if cleaned["confident"] and least > most:
            self.add_error("answers_least", _("The least is beyond the number of answers above."))
        cleaned["answers_least"] = least if cleaned["confident"] else 1

    def _check_keys(self, keys: list[str]) -> None:
        unknown = rounds.unknown_keys(self.dataset, keys)
        if not keys:
            self.add_error("keys", _("Name at least one key."))
        elif unknown:
            words = _("No item has the key %(keys)s.") % {"keys": ", ".join(unknown[:5])}
            self.add_error("keys", words)


class ExtendForm(forms.Form):
    """More items, or more time, for a round that is there."""

    keys = forms.CharField(
        label=_("Further items"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
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
        keys = [key.strip() for key in self.cleaned_data["keys"].splitlines() if key.strip()]
        if unknown := rounds.unknown_keys(self.dataset, keys):
            words = _("No item has the key %(keys)s.") % {"keys": ", ".join(unknown[:5])}
            raise forms.ValidationError(words)
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
    """How many items the screen would like to hold."""

    count = forms.IntegerField(min_value=1, max_value=MOST_CLAIMS)


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
