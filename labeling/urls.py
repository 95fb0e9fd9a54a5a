"""Addresses of the pages for people's work."""

from django.urls import path

from labeling.views import annotate, datasets, imports, jobs, media, rounds, system

app_name = "labeling"
urlpatterns = [
    path("", datasets.dataset_list, name="datasets"),
    path("datasets/new/", datasets.new_dataset, name="new_dataset"),
    path("d/<slug:slug>/settings/", datasets.settings, name="settings"),
    path("d/<slug:slug>/settings/classes/", datasets.change_classes, name="change_classes"),
    path("d/<slug:slug>/settings/classes/add/", datasets.add_classes, name="add_classes"),
    path(
        "d/<slug:slug>/settings/classes/<int:pk>/retire/",
        datasets.retire_class,
        name="retire_class",
    ),
    path("d/<slug:slug>/settings/guideline/", datasets.publish_guideline, name="guideline"),
    path("d/<slug:slug>/import/", imports.import_page, name="import"),
    path("d/<slug:slug>/uploads/<int:pk>/", imports.upload, name="upload"),
    path("d/<slug:slug>/uploads/<int:pk>/files/", imports.upload_files, name="upload_files"),
    path("d/<slug:slug>/uploads/<int:pk>/start/", imports.start_upload, name="start_upload"),
    path("d/<slug:slug>/uploads/<int:pk>/apply/", imports.apply_upload, name="apply_upload"),
    path("d/<slug:slug>/uploads/<int:pk>/report.csv", imports.upload_report, name="upload_report"),
    path("healthz", system.healthz, name="healthz"),
    path("d/<slug:slug>/media/<int:pk>/<str:what>", media.media, name="media"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("jobs/<int:pk>/events", jobs.job_events, name="job_events"),
    path("jobs/<int:pk>/cancel/", jobs.cancel_job, name="cancel_job"),
    path("jobs/<int:pk>/retry/", jobs.retry_job, name="retry_job"),
    path("work/", annotate.my_work, name="my_work"),
    path("annotate/<int:pk>/", annotate.annotate, name="annotate"),
    path("annotate/<int:pk>/claims/", annotate.claims, name="annotate_claims"),
    path("annotate/<int:pk>/answers/", annotate.answers, name="annotate_answers"),
    path("annotate/<int:pk>/withdraw/", annotate.withdraw, name="annotate_withdraw"),
    path("annotate/<int:pk>/release/", annotate.release, name="annotate_release"),
    path("annotate/<int:pk>/renew/", annotate.renew, name="annotate_renew"),
    path("annotate/<int:pk>/skipped/", annotate.skipped, name="annotate_skipped"),
    path("annotate/<int:pk>/status/", annotate.status, name="annotate_status"),
    path("d/<slug:slug>/rounds/", rounds.round_list, name="rounds"),
    path("d/<slug:slug>/rounds/new/", rounds.new_round, name="new_round"),
    path("d/<slug:slug>/rounds/<int:pk>/", rounds.round_page, name="round"),
    path("d/<slug:slug>/rounds/<int:pk>/close/", rounds.close, name="close_round"),
    path("d/<slug:slug>/rounds/<int:pk>/reopen/", rounds.reopen, name="reopen_round"),
]
