"""Addresses of the whole site."""

from django.contrib.auth import views as auth
from django.urls import include, path

from config.api import api, docs

urlpatterns = [
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", auth.PasswordChangeView.as_view(), name="password_change"),
    path("password/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
    path("api/docs", docs, name="api_docs"),
    path("api/", api.urls),
    path("", include("labeling.urls")),
    path("", include("quality.urls")),
]
