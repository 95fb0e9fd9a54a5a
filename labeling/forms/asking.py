"""What leads choose to make a round: the fields that matter for its kind, and no others."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.forms.keys import KeysField, refuse_unknown
from labeling.models import Dataset, Round, RoundKind, RoundOrder, Suggesting, User
from labeling.queries import qualifications, rounds

KINDS = {
    RoundKind.CLASSIFY: (_("Classify"), _("People say what each item is.")),
    RoundKind.VERIFY: (_("Verify"), _("People say whether the label that an item has is right.")),
    RoundKind.QUALIFY: (
        _("Qualify"),
        _(
            "Everybody answers the same check items once, is told after each whether it was right, "
            "and passes or not. These answers give no labels. Other rounds can require it."
        ),
    ),
    RoundKind.PILOT: (
        _("Pilot"),
        _(
            "Half of the people, drawn at random, read one wording of the question and guideline, "
            "half another, about the same items. A page compares them; nothing counts until "
            "you say so."
        ),
    ),
    RoundKind.ADJUDICATE: (
        _("Adjudicate"),
        _("Items on which people disagree are decided by those who know best."),
    ),
}
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
    (RoundOrder.LEARNING, _("What teaches the model most")),
]
ITEMS = ("which", "keys", "order")
ANSWERS = ("answers_wanted", "confident", "answers_least")
MORE = ("purpose", "deadline", "price")
#: Folded away at first: what most rounds leave as it is.
SELDOM = ("order", "confident", "answers_least", "suggesting", "gold_every", "price")
FIELDS: dict[str, tuple[str, ...]] = {
    RoundKind.CLASSIFY: (
        *("kind", "name", *ITEMS, *ANSWERS, "people", "requires", "suggesting", "gold_every"),
        *MORE,
    ),
    RoundKind.VERIFY: ("kind", "name", *ITEMS, *ANSWERS, "people", "requires", "gold_every", *MORE),
    RoundKind.QUALIFY: ("kind", "name", "count", "pass_mark", "attempts", "people", *MORE),
    RoundKind.PILOT: (
        *("kind", "name", "question_a", "guideline_a", "question_b", "guideline_b", *ITEMS),
        *("answers_wanted", "people", "requires", *MORE),
    ),
    RoundKind.ADJUDICATE: ("kind", "name", "answers_wanted", "people", *MORE),
}

LEARNING = _(
    "What teaches the model most: random until the next training, then by what each one finds; a"
    " tenth stays random. Items in doubt are asked again, up to the number below. On 10,000"
    " pictures of CIFAR-10 this needed 59 % of the answers that a random order took."
)


class RoundForm(forms.Form):
    """A new round of a dataset."""

    kind = forms.CharField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(label=_("Name"), max_length=120)
    count = forms.IntegerField(
        label=_("Items"),
        min_value=3,
        max_value=500,
        help_text=_(
            "So many check items of experts are drawn, all classes in turn. Who has seen one here "
            "is not asked about it as a check item later."
        ),
    )
    pass_mark = forms.IntegerField(
        label=_("Pass mark in %"),
        min_value=1,
        max_value=100,
        help_text=_("Share of the items that must be right; unsure is not right."),
    )
    attempts = forms.IntegerField(
        label=_("Attempts"),
        min_value=1,
        max_value=20,
        help_text=_(
            "Each asks other items while enough are known; then the first ones anew, whose right "
            "answers people have read. You can give anybody one more, or let them in without."
        ),
    )
    question_a = forms.CharField(label=_("Question, wording A"), max_length=200)
    guideline_a = forms.CharField(
        label=_("Guideline, wording A"),
        max_length=100_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
    )
    question_b = forms.CharField(label=_("Question, wording B"), max_length=200)
    guideline_b = forms.CharField(
        label=_("Guideline, wording B"),
        max_length=100_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_("Change what you would like to try: question, guideline or both."),
    )
    which = forms.ChoiceField(label=_("Items"), choices=WHICH, widget=forms.RadioSelect)
    keys = KeysField(
        label=_("Keys"),
        required=False,
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
            "Empty: always the number above. Else an item is settled as soon as its answers make "
            "one class so probable."
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
    requires = forms.ModelChoiceField(
        label=_("Only for those who have passed"),
        queryset=Round.objects.none(),
        required=False,
        empty_label=_("Everybody: no qualification needed"),
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
            "0 none. Somebody new gets more at first."
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

    def __init__(self, *args: Any, dataset: Dataset, kind: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dataset = dataset
        self.asked = kind
        people = self.fields["people"]
        assert isinstance(people, forms.ModelMultipleChoiceField)
        people.queryset = rounds.people_of(dataset)
        required = self.fields["requires"]
        assert isinstance(required, forms.ModelChoiceField)
        required.queryset = qualifications.qualifications_of(dataset)
        if kind == RoundKind.VERIFY:  # a label is needed to verify one
            self.fields["which"].choices = WHICH[1:]  # type: ignore[attr-defined]
        if kind == RoundKind.ADJUDICATE:
            self.fields["answers_wanted"].help_text = _("More than half of them decide.")
        if kind == RoundKind.CLASSIFY:
            self.fields["order"].help_text = LEARNING
        else:
            self.fields["order"].choices = ORDERS[:-1]  # type: ignore[attr-defined]
        if kind == RoundKind.PILOT:
            self.fields["answers_wanted"].help_text = _(
                "Under each wording; two or more to compare."
            )
            self.fields["people"].help_text = _(
                "Four or more; ten show far more. Nobody chosen: all who annotate."
            )
        self.keep_only(FIELDS[kind])
        self.initial.setdefault("kind", kind)
        if not required.queryset and not self.data.get("requires"):
            self.fields.pop("requires", None)

    @property
    def everyday_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in SELDOM]

    @property
    def seldom_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name in SELDOM]

    @property
    def has_seldom_errors(self) -> bool:
        return any(field.errors for field in self.seldom_fields)

    def keep_only(self, names: Sequence[str]) -> None:
        """Show these fields in this order, and no others."""
        self.fields = {name: self.fields[name] for name in names}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["kind"] = self.asked
        if "keys" in self.fields:
            self._clean_keys(cleaned)
        if "confident" in self.fields:
            self._clean_least(cleaned)
        if "gold_every" in self.fields:
            cleaned["gold_every"] = cleaned.get("gold_every") or 0
            if cleaned["gold_every"] == 1:
                self.add_error("gold_every", _("2 or more: there must be something left to ask."))
        if "question_a" in self.fields:
            self._clean_wordings(cleaned)
        if "suggesting" in self.fields:
            cleaned["suggesting"] = cleaned.get("suggesting") or Suggesting.OFF
        return cleaned

    def _clean_wordings(self, cleaned: dict[str, Any]) -> None:
        first, second = (
            (cleaned.pop(f"question_{name}", ""), cleaned.pop(f"guideline_{name}", ""))
            for name in "ab"
        )
        if first == second:
            self.add_error("question_b", _("Both wordings are the same: change the second one."))
        cleaned["wordings"] = (first, second)

    def _clean_keys(self, cleaned: dict[str, Any]) -> None:
        keys = cleaned.get("keys", [])
        if cleaned.get("which") != "keys":
            return
        if not keys:
            self.add_error("keys", _("Name at least one key."))
        try:
            refuse_unknown(self.dataset, keys)
        except forms.ValidationError as error:
            self.add_error("keys", error)

    def _clean_least(self, cleaned: dict[str, Any]) -> None:
        cleaned["confident"] = cleaned.get("confident") or 0.0
        most = cleaned.get("answers_wanted") or 1
        least = cleaned.get("answers_least") or min(2, most)
        if cleaned["confident"] and least > most:
            self.add_error("answers_least", _("The least is beyond the number of answers above."))
        cleaned["answers_least"] = least if cleaned["confident"] else 1

    def chosen(self) -> dict[str, Any]:
        """Return what was chosen as `services.asking.start_round` takes it."""
        given = dict(self.cleaned_data)
        if "which" in given:
            which, keys, order = (given.pop(name) for name in ITEMS)
            given["items"] = rounds.items_to_ask(self.dataset, which=which, keys=keys, order=order)
            if order == RoundOrder.LEARNING:
                given["order"] = order
        return given


class ChangeForm(RoundForm):
    """What can be changed while a round runs."""

    CHANGED = ("name", "answers_wanted", "order", "people", "requires", *MORE)

    def __init__(self, *args: Any, asking: Round, **options: Any) -> None:
        first = {
            name: getattr(asking, name) for name in ("name", "answers_wanted", "requires", *MORE)
        }
        first["people"] = asking.people.all()
        kind = asking.kind
        super().__init__(*args, dataset=asking.dataset, kind=kind, initial=first, **options)
        self.keep_only([name for name in self.fields if name in self.CHANGED])
        if "order" in self.fields:
            self.fields["order"].choices = [  # type: ignore[attr-defined]
                ("", _("As it is")),
                ("random", _("Random")),
                ("listed", _("By key")),
            ]
        if "answers_wanted" in self.fields:
            self.fields["answers_wanted"].help_text = _(
                "More: items that have their answers are asked about again, and keep their label "
                "until then. Fewer: items that have enough settle at once."
            )
        self.fields["people"].help_text = _(
            "Nobody chosen: every member. Who is taken off keeps what they answered; what they "
            "hold goes to others within minutes."
        )


def kind_of(asked: str | None) -> str:
    """Return the kind of round asked for, else the usual one."""
    return asked if asked in KINDS else RoundKind.CLASSIFY


def usual(dataset: Dataset, kind: str) -> dict[str, object]:
    """Return what a new round of this kind begins with."""
    first: dict[str, object] = {
        "name": _("Round %(number)d") % {"number": rounds.next_number(dataset)},
        "which": "all" if kind == RoundKind.VERIFY else "unlabelled",
        "answers_wanted": dataset.answers_wanted,
    }
    if kind == RoundKind.QUALIFY:
        first |= {"name": _("Qualification"), "count": 12, "pass_mark": 80, "attempts": 1}
    if kind == RoundKind.PILOT:
        guideline = dataset.guidelines.first()
        text = guideline.text if guideline else ""
        first |= {f"question_{name}": dataset.question for name in "ab"}
        first |= {f"guideline_{name}": text for name in "ab"}
        first |= {"name": _("Pilot"), "answers_wanted": 2}
    if kind == RoundKind.ADJUDICATE:
        first |= {"name": _("Disputed items"), "answers_wanted": 1}
        first["people"] = [user.pk for user in rounds.reviewers_of(dataset)]
    return first
