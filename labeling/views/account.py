"""A person's own page: password, memberships, tokens of the API."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.members import TokenForm
from labeling.models import User
from labeling.queries import people as queries
from labeling.services import members


class LogInView(LoginView):
    """The log-in; on a server without an account it says where the first one comes from."""

    redirect_authenticated_user = True

    def get_success_url(self) -> str:
        """Return the page that was asked for; who only annotates has no use for the list."""
        wanted, user = super().get_success_url(), self.request.user
        if wanted != reverse("quality:datasets") or not isinstance(user, User):
            return wanted
        return reverse("labeling:my_work") if queries.only_annotates(user) else wanted

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(nobody_yet=not queries.is_anybody_there(), **context)


@login_required
@never_cache
def account(request: access.MemberRequest) -> HttpResponse:
    """Show the account; a new token is in this answer and nowhere else."""
    form, secret = TokenForm(request.POST or None), ""
    if form.is_valid():
        _token, secret = members.make_token(user=request.user, **form.cleaned_data)
        form = TokenForm()
    context = {
        "section": "account",
        "form": form,
        "secret": secret,
        "tokens": queries.tokens_of(request.user),
        "memberships": queries.memberships_of(request.user),
    }
    return render(request, "labeling/account.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def revoke_token(request: access.MemberRequest, pk: int) -> HttpResponse:
    """End a token of one's own."""
    token = get_object_or_404(queries.tokens_of(request.user), pk=pk)
    members.revoke_token(token=token, now=timezone.now())
    messages.success(request, _("The token %(name)s no longer works.") % {"name": token.name})
    return redirect("labeling:account")
