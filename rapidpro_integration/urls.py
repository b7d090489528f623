"""The addresses below /tokens/."""

from django.urls import path

from rapidpro_integration import (
    flow_list_views,
    flow_views,
    health_views,
    home_views,
    picture_views,
    server_views,
    token_views,
)

app_name = "rapidpro"

_FLOW = "<uuid:token_id>/flows/<uuid:flow_uuid>"

urlpatterns = [
    path("", token_views.token_list, name="token-list"),
    path("add/", token_views.token_add, name="token-add"),
    path("digest/", health_views.digest_set, name="digest-set"),
    path("servers/", server_views.server_list, name="server-list"),
    path("<uuid:token_id>/", token_views.token_detail, name="token-detail"),
    path("<uuid:token_id>/check/", token_views.token_check, name="token-check"),
    path("<uuid:token_id>/replace/", token_views.token_replace, name="token-replace"),
    path("<uuid:token_id>/rename/", token_views.token_rename, name="token-rename"),
    path("<uuid:token_id>/age/", health_views.token_age, name="token-age"),
    path("<uuid:token_id>/delete/", token_views.token_delete, name="token-delete"),
    path("<uuid:token_id>/flows/", flow_list_views.flow_list, name="flow-list"),
    path("<uuid:token_id>/flows/refresh/", flow_list_views.flow_refresh, name="flow-refresh"),
    path("<uuid:token_id>/flows/fetch/", home_views.flow_fetch, name="flow-fetch"),
    path("<uuid:token_id>/flows/progress/", flow_list_views.flow_progress, name="flow-progress"),
    path("<uuid:token_id>/flows/stop/", flow_list_views.flow_stop, name="flow-stop"),
    path("<uuid:token_id>/flows/numbers/", flow_list_views.flow_numbers, name="flow-numbers"),
    path("<uuid:token_id>/flows/export/<slug:kind>/", flow_list_views.flow_export, name="flow-export"),
    path(f"{_FLOW}/", flow_views.flow_detail, name="flow-detail"),
    path(f"{_FLOW}/picture/", picture_views.flow_picture, name="flow-picture"),
    path(f"{_FLOW}/picture.svg", picture_views.flow_picture_file, name="flow-picture-file"),
    path(f"{_FLOW}/script/", picture_views.flow_script, name="flow-script"),
    path(f"{_FLOW}/definition/", picture_views.flow_definition, name="flow-definition"),
    path(f"{_FLOW}/definition.json", picture_views.flow_definition_file, name="flow-definition-file"),
]
