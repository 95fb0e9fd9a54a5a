"""What leads type about gold items."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset, LabelClass


class GoldForm(forms.Form):
    """A known answer, and why it is so."""

    label = forms.ModelChoiceField(queryset=LabelClass.objects.none(), label=_("It is surely"))
    why = forms.CharField(
        required=False,
        max_length=200,
        label=_("Because"),
        help_text=_(
            "Leads read it on the page Check items, people in a qualification after answering."
        ),
    )

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        classes = self.fields["label"]
        assert isinstance(classes, forms.ModelChoiceField)
        classes.queryset = dataset.classes.filter(retired_at__isnull=True)


class PromoteForm(forms.Form):
    """How many agreed items become gold."""

    count = forms.IntegerField(min_value=1, max_value=1_000, initial=50)
