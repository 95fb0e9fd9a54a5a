"""Form fields with the classes of our style sheets; Django ties help and errors to them."""

from django import forms, template
from django.forms.boundfield import BoundField, BoundWidget
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, forms.CheckboxInput)


def _class_of(widget: forms.Widget) -> str:
    if isinstance(widget, forms.CheckboxInput):
        return "form-check-input"
    return "form-select" if isinstance(widget, forms.Select) else "form-control"


@register.filter
def control(field: BoundField) -> SafeString:
    """Render the widget; classes that the form gave itself stay."""
    given = field.field.widget.attrs.get("class", "")
    return field.as_widget(attrs={"class": f"{given} {_class_of(field.field.widget)}".strip()})


@register.filter
def choice_control(choice: BoundWidget) -> SafeString:
    """Render one radio button or check box of a group."""
    choice.data["attrs"]["class"] = "form-check-input"
    return choice.tag()
