"""One flow as a picture, as a script for sign-off, and as its definition: pages and files of the same answer."""

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.selectors import person
from rapidpro_integration import selectors, services
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.client.types import Definitions, Flow
from rapidpro_integration.flow_views import _aproblem, pretty_json
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import Purpose, anote_opening
from rapidpro_integration.pictures import model, reading, steps, svg
from rapidpro_integration.pictures.model import CannotDraw, Reason
from rapidpro_integration.problems import Text

#: What a sheet of paper shows, in pixels of the picture; site.css prints both at the same scale.
PAPERS: Mapping[str, tuple[float, float]] = {"a4": (980, 1376), "a3": (1428, 2008)}

UNDRAWN: Mapping[Reason, tuple[Text, Text]] = {
    Reason.MISSING: (
        _("The server sent no definition of this flow"),
        _("It lists the flow, but leaves it out of its export. Open the flow in RapidPro and save it once."),
    ),
    Reason.LEGACY: (
        _("This flow is from an old version of RapidPro"),
        _("Its definition is of a kind that cannot be drawn. Open it in RapidPro and save it: that makes it new."),
    ),
    Reason.EMPTY: (
        _("This flow has no steps yet"),
        _("There is nothing to draw. Add a step to it in RapidPro."),
    ),
    Reason.TOO_LARGE: (
        _("This flow is too large to draw"),
        _("Flows of up to 2,000 steps are drawn. The definition can still be downloaded."),
    ),
    Reason.UNREADABLE: (
        _("The definition of this flow cannot be read"),
        _("It is not what RapidPro should send. The definition can still be downloaded."),
    ),
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A flow with its definition, and whose it is."""

    token: RapidProToken
    flow: Flow
    definitions: Definitions

    def drawable(self) -> model.Flow:
        """Return the flow as it can be drawn. Raises CannotDraw."""
        return reading.read(self.definition())

    def definition(self) -> dict[str, Any]:
        """Return the definition. Raises CannotDraw if none came."""
        for definition in self.definitions.flows:
            if str(definition.get("uuid")) == str(self.flow.uuid):
                return definition
        raise CannotDraw(Reason.MISSING)

    def context(self, **more: object) -> dict[str, object]:
        return {"section": "tokens", "token": self.token, "flow": self.flow, **more}

    def file_name(self, ending: str) -> str:
        name = slugify(self.flow.name, allow_unicode=True)[:60].strip("-_")
        return f"{name or 'flow'}-{str(self.flow.uuid)[:8]}.{ending}"


type _Page = Callable[[HttpRequest, _Asked], HttpResponse]
type _View = Callable[[HttpRequest, UUID, UUID], Coroutine[Any, Any, HttpResponseBase]]


def _of_definition(page: _Page) -> _View:
    """Make a view of a function that shows a definition: it runs in a thread, for a large flow takes a second."""

    @require_safe
    @wraps(page)
    async def view(request: HttpRequest, token_id: UUID, flow_uuid: UUID) -> HttpResponseBase:
        token = await selectors.aget_token_or_404(person(request).pk, token_id)
        try:
            interface = RapidProInterface.for_token(token)
            await anote_opening(token, Purpose.DEFINITION)
            flow = await interface.aget_flow(flow_uuid)
            definitions = await interface.aget_definitions([flow_uuid]) if flow else Definitions()
        except AbstractRequestException as error:
            return await _aproblem(request, error, token)
        await services.arecord_use(token)
        if flow is None:
            context = {"section": "tokens", "token": token}
            return TemplateResponse(request, "rapidpro_integration/flow_missing.html", context, status=404)
        return await sync_to_async(_drawn, thread_sensitive=False)(page, request, _Asked(token, flow, definitions))

    return view


def _drawn(page: _Page, request: HttpRequest, asked: _Asked) -> HttpResponse:
    try:
        return page(request, asked)
    except CannotDraw as refusal:
        title, advice = UNDRAWN[refusal.reason]
        context = asked.context(title=title, advice=advice, has_definition=refusal.reason is not Reason.MISSING)
        return TemplateResponse(request, "rapidpro_integration/flow_undrawn.html", context, status=422)


def _language(request: HttpRequest, drawable: model.Flow) -> str:
    """Return the language that was asked for, or the flow's own."""
    wanted = request.GET.get("language", "")
    return wanted if wanted in drawable.languages else drawable.language


@_of_definition
def flow_picture(request: HttpRequest, asked: _Asked) -> HttpResponse:
    """Show the flow as a picture, with the same in words below it."""
    drawable = asked.drawable()
    language = _language(request, drawable)
    paper = request.GET.get("paper", "")
    paper = paper if paper in PAPERS else "a4"
    told = steps.describe(drawable, gettext, language)
    picture = svg.draw(told, asked.flow.name, gettext)
    context = asked.context(
        picture=picture,
        sheets=picture.sheets(*PAPERS[paper]),
        paper=paper,
        papers=list(PAPERS),
        steps=told,
        language=language,
        languages=drawable.languages,
        file_name=asked.file_name("png"),
        drawing=f"#{svg.DRAWING_ID}",
    )
    return TemplateResponse(request, "rapidpro_integration/flow_picture.html", context)


@_of_definition
def flow_picture_file(request: HttpRequest, asked: _Asked) -> HttpResponse:
    """Return the picture as a file."""
    drawable = asked.drawable()
    told = steps.describe(drawable, gettext, _language(request, drawable))
    return _file(svg.draw(told, asked.flow.name, gettext).file, "image/svg+xml", asked.file_name("svg"))


@_of_definition
def flow_script(request: HttpRequest, asked: _Asked) -> HttpResponse:
    """Show what the flow says, step by step, for people who sign it off; in every language or in one."""
    drawable = asked.drawable()
    wanted = request.GET.get("language", "")
    parts = [
        {
            "language": language,
            "steps": (told := steps.describe(drawable, gettext, language)),
            "missing": _missing(told),
        }
        for language in drawable.languages
        if wanted in {"", language} or wanted not in drawable.languages
    ]
    context = asked.context(parts=parts, languages=drawable.languages, language=wanted)
    return TemplateResponse(request, "rapidpro_integration/flow_script.html", context)


def _missing(told: tuple[steps.Step, ...]) -> int:
    return sum(line.is_missing for step in told for line in step.lines) + sum(
        way.is_missing for step in told for way in step.ways
    )


@_of_definition
def flow_definition(request: HttpRequest, asked: _Asked) -> HttpResponse:
    """Show the definition as JSON."""
    context = asked.context(raw=pretty_json(asked.definition()))
    return TemplateResponse(request, "rapidpro_integration/flow_definition.html", context)


@_of_definition
def flow_definition_file(request: HttpRequest, asked: _Asked) -> HttpResponse:
    """Return the definition in the form that RapidPro imports."""
    asked.definition()
    body = json.dumps(asked.definitions.as_export(), indent=1)
    return _file(body, "application/json", asked.file_name("json"))


def _file(body: str, content_type: str, name: str) -> HttpResponse:
    disposition = content_disposition_header(as_attachment=True, filename=name)
    return HttpResponse(body, content_type=content_type, headers={"Content-Disposition": disposition})
