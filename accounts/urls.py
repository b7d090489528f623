"""The addresses below /accounts/ that allauth does not have."""

from django.urls import path

from accounts import views
from accounts.audit import views as audit_views

app_name = "accounts"

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("close/", views.close, name="close"),
    path("log/", audit_views.log, name="log"),
    path("log.csv", audit_views.log_csv, name="log-csv"),
]
