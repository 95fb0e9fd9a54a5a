"""A lead's inbox, and where else its notices go."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.notices import MailForm, WebhookForm
from labeling.queries import notices as queries
from labeling.services import notices
from labeling.views.datasets import settings_page


@login_required
def inbox(request: access.MemberRequest) -> HttpResponse:
    """List what happened in the datasets that this person leads; opening it is having seen it."""
    page = Paginator(queries.inbox_of(request.user), queries.NOTICES_A_PAGE)
    context = {
        "section": "inbox",
        "page": page.get_page(request.GET.get("page")),
        "seen_at": request.user.inbox_seen_at,
        "mail_form": MailForm(initial={"gets_mail": request.user.gets_mail,
                                       "email": request.user.email}),
        "has_mail": bool(settings.MAIL["host"]),
    }  # fmt: skip
    shown = render(request, "labeling/inbox.html", context)
    notices.mark_inbox_seen(user=request.user, now=timezone.now())
    return shown


@login_required
@require_POST
def wish_mail(request: access.MemberRequest) -> HttpResponse:
    """Begin or end writing to this person."""
    form = MailForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(e) for errors in form.errors.values() for e in errors))
    else:
        wanted, email = form.cleaned_data["gets_mail"], form.cleaned_data["email"]
        notices.wish_mail(user=request.user, wanted=wanted, email=email, now=timezone.now())
        messages.success(request, _("You get mail from now on.") if wanted else _("No more mail."))
    return redirect("labeling:inbox")


@login_required
@require_POST
def set_webhook(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Send the notices of a dataset to an address, after one that tries it."""
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return settings_page(request, dataset, webhook_form=form)
    webhook = notices.set_webhook(
        dataset=dataset, url=form.cleaned_data["url"], by=request.user, now=timezone.now()
    )
    messages.success(request, _("The secret is shown only now: %s") % webhook.secret)
    return _try(request, slug)


@login_required
@require_POST
def try_webhook(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Send a notice that says nothing, and show what came back."""
    access.dataset_for(request.user, slug, roles=access.OWNERS)
    return _try(request, slug)


def _try(request: access.MemberRequest, slug: str) -> HttpResponse:
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    try:
        notices.try_webhook(dataset=dataset)
    except notices.NotToldError as error:
        messages.error(request, _("The webhook did not take a try: %s") % error)
    else:
        messages.success(request, _("The webhook took a try."))
    return redirect("labeling:settings", slug)


@login_required
@require_POST
def remove_webhook(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Send nothing any more."""
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    notices.remove_webhook(dataset=dataset)
    messages.success(request, _("Nothing is sent any more."))
    return redirect("labeling:settings", slug)
