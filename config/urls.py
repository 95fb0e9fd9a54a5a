"""Addresses of the whole site."""

from django.contrib.auth import views as auth
from django.urls import include, path

from config.api import api, docs
from labeling.views.account import LogInView

urlpatterns = [
    path("login/", LogInView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", auth.PasswordChangeView.as_view(), name="password_change"),
    path("password/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
    path("api/docs", docs, name="api_docs"),
    path("api/", api.urls),
    path("", include("labeling.urls")),
    path("", include("quality.urls")),
]
