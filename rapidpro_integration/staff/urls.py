"""The addresses below /staff/."""

from django.urls import path

from rapidpro_integration.staff import (
    audit_views,
    bulk_views,
    check_views,
    home_views,
    overview_views,
    people_views,
    server_views,
    token_views,
    work_views,
    workspace_views,
)

app_name = "staff"

urlpatterns = [
    path("", home_views.home, name="home"),
    path("overview/", overview_views.overview, name="overview"),
    path("tokens/", token_views.tokens, name="tokens"),
    path("tokens.csv", token_views.tokens_csv, name="tokens-csv"),
    path("tokens/act/", bulk_views.act, name="act"),
    path("actions/<uuid:action_id>/", bulk_views.action, name="action"),
    path("actions/<uuid:action_id>/undo/", bulk_views.undo, name="undo"),
    path("checks/", check_views.checks, name="checks"),
    path("checks.csv", check_views.checks_csv, name="checks-csv"),
    path("servers/", server_views.servers, name="servers"),
    path("servers.csv", server_views.servers_csv, name="servers-csv"),
    path("server/", server_views.server, name="server"),
    path("server/pause/", server_views.server_pause, name="server-pause"),
    path("workspaces/", workspace_views.workspaces, name="workspaces"),
    path("workspaces.csv", workspace_views.workspaces_csv, name="workspaces-csv"),
    path("workspace/", workspace_views.workspace, name="workspace"),
    path("users/", people_views.users, name="users"),
    path("users.csv", people_views.users_csv, name="users-csv"),
    path("users/<int:user_id>/", people_views.user, name="user"),
    path("users/<int:user_id>/active/", people_views.active, name="user-active"),
    path("work/", work_views.work, name="work"),
    path("work.csv", work_views.work_csv, name="work-csv"),
    path("work/<uuid:result_id>/", work_views.work_change, name="work-change"),
    path("audit/", audit_views.audit, name="audit"),
    path("audit.csv", audit_views.audit_csv, name="audit-csv"),
]
