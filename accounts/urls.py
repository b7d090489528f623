"""The addresses below /accounts/ that allauth does not have."""

from django.urls import path

from accounts import session_views, views

app_name = "accounts"

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("close/", views.close, name="close"),
    path("sessions/", session_views.session_list, name="session-list"),
    path("sessions/end-others/", session_views.session_end_others, name="session-end-others"),
    path("sessions/<uuid:session_id>/end/", session_views.session_end, name="session-end"),
]
