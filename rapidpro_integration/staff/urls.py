"""The addresses below /staff/."""

from django.urls import path

from rapidpro_integration.staff import audit_views, bulk_views, home_views, people_views, token_views

app_name = "staff"

urlpatterns = [
    path("", home_views.home, name="home"),
    path("tokens/", token_views.tokens, name="tokens"),
    path("tokens.csv", token_views.tokens_csv, name="tokens-csv"),
    path("tokens/act/", bulk_views.act, name="act"),
    path("actions/<uuid:action_id>/", bulk_views.action, name="action"),
    path("actions/<uuid:action_id>/undo/", bulk_views.undo, name="undo"),
    path("users/", people_views.users, name="users"),
    path("users.csv", people_views.users_csv, name="users-csv"),
    path("users/<int:user_id>/", people_views.user, name="user"),
    path("users/<int:user_id>/active/", people_views.active, name="user-active"),
    path("audit/", audit_views.audit, name="audit"),
    path("audit.csv", audit_views.audit_csv, name="audit-csv"),
]
