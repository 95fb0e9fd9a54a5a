"""Addresses of the pages for people's work."""

from django.urls import path

from labeling.views import jobs, media, system

app_name = "labeling"
urlpatterns = [
    path("healthz", system.healthz, name="healthz"),
    path("d/<slug:slug>/media/<int:pk>/<str:what>", media.media, name="media"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("jobs/<int:pk>/events", jobs.job_events, name="job_events"),
    path("jobs/<int:pk>/cancel/", jobs.cancel_job, name="cancel_job"),
    path("jobs/<int:pk>/retry/", jobs.retry_job, name="retry_job"),
]
