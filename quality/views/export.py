"""Downloads: a version or a list as a file."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponseBase
from django.views.decorators.http import require_GET

from labeling import access
from labeling.forms.ids import id_of
from labeling.views.downloads import file_response
from quality.queries import exports


@login_required
@require_GET
def export(request: access.MemberRequest, slug: str, what: str, form: str) -> HttpResponseBase:
    """Stream an export; `?version=N` names the version, else the newest one."""
    dataset = access.dataset_for(request.user, slug)
    number = id_of(request.GET.get("version", ""))
    try:
        made = exports.export(dataset, what, form=form, number=number)
    except exports.CannotExportError as refusal:
        raise Http404(str(refusal)) from refusal
    return file_response(made.content, name=made.name, content_type=made.content_type)
