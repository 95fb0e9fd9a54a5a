"""Addresses of the pages for people's work."""

from django.urls import URLPattern

app_name = "labeling"
urlpatterns: list[URLPattern] = []
