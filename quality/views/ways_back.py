"""Ways back from what brought items: an import taken back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render

from labeling import access, tasks
from labeling.services import jobs
from quality.queries.taking_back import outlook
from quality.services import taking_back


@login_required
def take_back(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Say what would go and what stays; take the import back when that is wanted."""
    upload = access.upload_for(request.user, slug, pk)
    if request.method != "POST":
        context = {"dataset": upload.dataset, "section": "import", "upload": upload}
        context["outlook"] = outlook(upload)
        return render(request, "quality/take_back.html", context)
    try:
        job = taking_back.open_taking_back(upload=upload, by=request.user)
    except (jobs.Refused, jobs.JobOpenError) as refusal:
        messages.error(request, str(refusal))
        return redirect("labeling:upload", slug, pk)
    tasks.send(job)
    return redirect(job)
