"""Guidelines for leads: text and examples, published as versions."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.datasets import ExampleForm, GuidelineForm
from labeling.services import guidelines
from labeling.views.datasets import settings_page


@login_required
@require_POST
def publish(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Make the next version of the guideline."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = GuidelineForm(request.POST)
    if not form.is_valid():
        return settings_page(request, dataset, guideline_form=form)
    made = guidelines.publish_guideline(dataset=dataset, by=request.user, **form.cleaned_data)
    words = _("Guideline v%s holds now, also in the open rounds. Everybody is shown it once.")
    messages.success(request, words % made.number)
    return redirect("labeling:settings", dataset.slug)


@login_required
@require_POST
def use_as_example(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Take an item into the next guideline, as right or wrong for a class."""
    item = access.item_for(request.user, slug, pk, roles=access.LEADS)
    form = ExampleForm(request.POST, dataset=item.dataset)
    if form.is_valid():
        guidelines.use_as_example(item=item, by=request.user, **form.cleaned_data)
        words = _("It is an example now. Annotators see it when you publish the guideline.")
        messages.success(request, words)
    else:
        messages.error(request, _("Choose a class, and say why in at most 120 characters."))
    return redirect("quality:item", slug, pk)


@login_required
@require_POST
def drop_example(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Leave an example out of the next version."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    guidelines.drop_example(example=get_object_or_404(dataset.examples, pk=pk))
    return redirect("labeling:settings", dataset.slug)
