"""From a request to its answer, in the order in which RapidPro decides: path, Accept, token, role, throttle, method."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rapidpro_integration.sandbox.archives import offset_page
from rapidpro_integration.sandbox.authentication import authenticate
from rapidpro_integration.sandbox.daily import statistics
from rapidpro_integration.sandbox.endpoints import ENDPOINTS, LISTED, Endpoint
from rapidpro_integration.sandbox.errors import (
    ApiError,
    FieldErrors,
    MethodNotAllowed,
    NotAuthenticated,
    NotPermitted,
    ServerFailure,
    Throttled,
)
from rapidpro_integration.sandbox.exports import export
from rapidpro_integration.sandbox.filters import place_in
from rapidpro_integration.sandbox.messages import (
    HTML,
    JSON,
    Request,
    Response,
    api_headers,
    html_page,
    json_bytes,
    redirect,
    site_page,
)
from rapidpro_integration.sandbox.model import Json, Workspace
from rapidpro_integration.sandbox.paging import Cursor, cut_page, with_cursor
from rapidpro_integration.sandbox.throttle import Throttle
from rapidpro_integration.sandbox.tokens import SandboxToken
from rapidpro_integration.sandbox.writes import WRITABLE, Store

API = "/api/v2/"
SERVER_ERROR = b"Server Error. Site administrators have been notified."
ROOT = Endpoint("RapidPro API v2")
_ENDPOINT_PATH = re.compile(r"/api/v2/(?P<name>[a-z_]+)(?P<json>\.json/?)?")
_REDIRECTS = {
    "/api": (301, "/api/"),
    "/api/": (302, API),
    "/api/v2": (301, API),
    "/api/v2/explorer/": (302, "/accounts/login/?next=/api/v2/explorer/"),
}


@dataclass(frozen=True)
class Route:
    """Where a path leads: an endpoint, or the root (""), and whether `.json` was asked for."""

    name: str
    endpoint: Endpoint
    json_only: bool


def find_route(path: str) -> Route | None:
    """Return the route of an API path, None if RapidPro has none."""
    if path in (API, f"{API}.json", f"{API}.json/"):
        return Route("", ROOT, path != API)
    match = _ENDPOINT_PATH.fullmatch(path)
    if match is None or match["name"] not in ENDPOINTS:
        return None
    return Route(match["name"], ENDPOINTS[match["name"]], match["json"] is not None)


class Views:
    """Answers requests for the workspaces it was given; keeps the throttle's counts and what was written."""

    def __init__(self, workspaces: Mapping[str, Workspace], throttle: Throttle) -> None:
        self._workspaces = workspaces
        self._throttle = throttle
        self._store = Store()

    def answer(self, request: Request) -> Response:
        """Return the answer to any request."""
        if request.path in _REDIRECTS:
            return redirect(*_REDIRECTS[request.path])
        if request.path == "/":
            return site_page(200, "Sandbox", "A small RapidPro with invented data. Its API is at /api/v2/.")
        route = find_route(request.path)
        if route is None:
            return site_page(404, "Not Found", "The requested resource was not found on this server.")
        return _Exchange(self._workspaces, self._throttle, self._store, request, route).answer()


class _Exchange:
    """One request on one route, on its way to an answer."""

    def __init__(
        self, workspaces: Mapping[str, Workspace], throttle: Throttle, store: Store, request: Request, route: Route
    ) -> None:
        self.workspaces, self.throttle, self.store = workspaces, throttle, store
        self.request, self.route = request, route
        self.content_type = accepted_type(request.header("accept"), json_only=route.json_only)
        self.workspace: Workspace | None = None

    def answer(self) -> Response:
        try:
            token, refusal = authenticate(self.request.headers), None
        except NotAuthenticated as error:
            token, refusal = None, error
        self.workspace = self.workspaces[token.workspace] if token else None
        if self.content_type is None:
            return self._reply(406, html_page("Not Acceptable", "Could not satisfy the request Accept header."), HTML)
        try:
            if refusal:
                raise refusal
            return self._permitted(token)
        except Throttled as error:
            return self._error(error, ("Retry-After", str(error.retry_after_s)))
        except ApiError as error:
            return self._error(error)
        except FieldErrors as error:
            return self._reply(400, json_bytes(error.fields), JSON)
        except ServerFailure:
            return self._reply(500, SERVER_ERROR, HTML)

    def _permitted(self, token: SandboxToken | None) -> Response:
        method, endpoint = self.request.method, self.route.endpoint
        reading = method == "GET" and endpoint.reads
        writing = method in endpoint.writes and self.route.name in WRITABLE
        if self.route.name and self.route.json_only and (reading or writing):
            if token is None:
                raise NotAuthenticated("Authentication credentials were not provided.")
            if token.role not in ("administrator", "editor"):
                raise NotPermitted
        who = self.workspace.uuid if self.workspace else self.request.address
        self.throttle.count(who, endpoint.scope, self.workspace.rates if self.workspace else None)
        if not self.route.name:
            return self._root(method)
        if reading and not self.route.json_only:
            return self._documentation()
        if reading and self.workspace:
            return self._reply(200, json_bytes(self._read(self.workspace)), JSON)
        if writing and self.workspace:
            return self._write(self.workspace, method)
        raise MethodNotAllowed(method)

    def _root(self, method: str) -> Response:
        if method not in ("GET", "HEAD", "OPTIONS"):
            raise MethodNotAllowed(method)
        body: Json = {name: f"{self.request.origin}{API}{name}" for name in LISTED}
        if method == "OPTIONS":
            parses = [JSON, "application/x-www-form-urlencoded", "multipart/form-data"]
            described = "\n".join(f" * {API}{name} - {ENDPOINTS[name].summary}" for name in LISTED)
            body = {"name": ROOT.summary, "description": described, "renders": ["text/html", JSON], "parses": parses}
        return self._page_or_json(ROOT.summary, body)

    def _documentation(self) -> Response:
        """Return what an address without .json shows to anybody, roles and all: a page, or an empty body as JSON."""
        empty: Any = []
        if self.route.name in ("workspace", "org"):
            empty = self.workspace.describe() if self.workspace else {"uuid": None, "name": ""}
        elif self.route.name == "definitions":
            empty = {}
        elif self.route.name == "statistics":
            empty = {"results": []}
        return self._page_or_json(f"To list {self.route.endpoint.summary}", empty)

    def _read(self, workspace: Workspace) -> Json:
        name, params = self.route.name, self.request.params
        if name in ("workspace", "org"):
            return workspace.describe()
        if name == "definitions":
            dependencies = params.last("dependencies") if "dependencies" in params.names() else "all"
            return export(workspace, params.all("flow"), params.all("campaign"), dependencies)
        if name == "statistics":
            return statistics(workspace, params)
        if name == "flows" and workspace.flows_broken:
            raise ServerFailure("a flow's facts are null")
        return self._list(workspace)

    def _list(self, workspace: Workspace) -> Json:
        endpoint, params = self.route.endpoint, self.request.params
        params.only_one_of(endpoint.exclusive)
        rows = self.store.rows(workspace, self.route.name)
        for keep in endpoint.filters:
            rows = keep(params, rows)
        if self.route.name == "archives":
            return offset_page(rows, params, self.request.url)
        order = endpoint.order_for(params)
        place = place_in(order)
        if order != endpoint.order:
            rows = sorted(rows, key=lambda row: (place(row), row.id), reverse=True)
        ascending = endpoint.reversible and bool(params.flag("reverse"))
        if ascending:
            rows = list(reversed(rows))
        by_text = order == "osm_id"
        cursor = Cursor.decode(params.last("cursor"))
        page = cut_page(rows, cursor, place, ascending=ascending or by_text, by_text=by_text)
        url = self.request.url
        return {
            "next": with_cursor(url, page.next) if page.next else None,
            "previous": with_cursor(url, page.previous) if page.previous else None,
            "results": [row.body for row in page.rows],
        }

    def _write(self, workspace: Workspace, method: str) -> Response:
        if method == "POST":
            created = self.store.create(workspace, self.route.name, self.request)
            return self._reply(201, json_bytes(created), JSON)
        self.store.delete(workspace, self.route.name, self.request)
        return self._reply(204, b"", None)

    def _page_or_json(self, title: str, body: Any) -> Response:
        if self.content_type == JSON:
            return self._reply(200, json_bytes(body), JSON)
        return self._reply(200, html_page(title, "Append .json to the address for JSON."), HTML)

    def _error(self, error: ApiError, *headers: tuple[str, str]) -> Response:
        if self.content_type == JSON:
            return self._reply(error.status, json_bytes({"detail": error.detail}), JSON, *headers)
        return self._reply(error.status, html_page(self.route.endpoint.summary, error.detail), HTML, *headers)

    def _reply(self, status: int, body: bytes, content_type: str | None, *headers: tuple[str, str]) -> Response:
        workspace_uuid = self.workspace.uuid if self.workspace else None
        return Response(status, content_type, body, api_headers(self.route.endpoint.allow, workspace_uuid, *headers))


def accepted_type(accept: str, *, json_only: bool) -> str | None:
    """Return JSON or HTML, whichever the Accept header prefers, HTML first where it has no preference; None is a 406.

    Quality values are not weighed, as RapidPro does not weigh them: the more exact media type wins.
    """
    offered = [JSON] if json_only else [HTML, JSON]
    ranges = {part.split(";")[0].strip().lower() for part in accept.split(",") if part.strip()} or {"*/*"}
    for exact in (True, False):
        for content_type in offered:
            media = content_type.split(";")[0]
            wild = {f"{media.split('/')[0]}/*", "*/*"}
            if (media in ranges) if exact else (wild & ranges):
                return content_type
    return None
