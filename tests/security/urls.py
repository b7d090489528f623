"""Every address of the project, as the URLconf gives it, with ids of real rows in it."""

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

# What stands for an id of each name where it names nothing of anybody.
UNKNOWN = {
    "token_id": str(uuid.UUID(int=7)),
    "flow_uuid": str(uuid.UUID(int=8)),
    "session_id": str(uuid.UUID(int=7)),
    "action_id": str(uuid.UUID(int=7)),
    "result_id": str(uuid.UUID(int=7)),
    "user_id": "987654321",
    "kind": "csv",
    "pk": "987654321",
    "key": "no-such-key",
    "uidb36": "zz",
    "object_id": "987654321",
    "id": "987654321",
    "content_type_id": "987654321",
    "app_label": "accounts",
    "url": "no/such/page",
}
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


def routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yield the text of every pattern, as "tokens/<uuid:token_id>/check/"; those of a regular expression too."""
    for each in (resolver or get_resolver()).url_patterns:
        # The admin lists its applications in the order in which they were registered.
        here = before + re.sub(r"(?<=<app_label>)[\w|]+", "…", str(each.pattern))
        if isinstance(each, URLPattern):
            yield here
        else:
            yield from routes(each, here)


def names_in(route: str) -> list[str]:
    """Return the names of the ids in a route."""
    return [one or other for one, other in _PLACE.findall(route)]


def address(route: str, ids: Mapping[str, Any]) -> str:
    """Return an address of the route with these ids; the ids of the admin are those of its own model."""

    def fill(place: re.Match[str]) -> str:
        name = place[1] or place[2]
        own = ids.get(f"{_model_of(route)}.{name}") if route.startswith("admin/") else None
        return str(own or ids.get(name) or UNKNOWN[name])

    return "/" + re.sub(r"[\^$\\]|\(\?:|/\?", "", _PLACE.sub(fill, route))


def _model_of(route: str) -> str:
    app, _, rest = route.removeprefix("admin/").partition("/")
    return f"{app}.{rest.partition('/')[0]}"


def rows_of_the_admin() -> dict[str, Any]:
    """Return the id of the last row of each model, by "app.model.object_id"."""
    ids: dict[str, Any] = {}
    for model in apps.get_models():
        if row := model._default_manager.order_by("-pk").first():
            ids |= {f"{model._meta.label_lower}.{name}": row.pk for name in ("object_id", "id")}
    return ids
