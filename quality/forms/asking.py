"""What pages accept that make rounds of items."""

from typing import Any

from django import forms
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.forms.asking import ORDERS, RoundForm
from labeling.models import Dataset, RoundKind, User
from labeling.queries import rounds


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
