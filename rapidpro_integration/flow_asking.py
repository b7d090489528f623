"""What a command asks of a server with a saved token: opened, written into the log and kept as the pages do it.

A page waits and is shown; a command tells how far it is, and takes what came where a server fails on the way.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rapidpro_integration import kept, services
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.types import Definitions, Flow, Rows
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import Purpose, anote_opening
from rapidpro_integration.pictures.model import CannotDraw, Reason

# These say something about the token, not about the server: what came before is not handed out beside them.
OF_TOKEN = frozenset({Kind.REJECTED, Kind.NOT_ALLOWED, Kind.LOCKED, Kind.DISABLED})


@dataclass(frozen=True, slots=True)
class Came:
    """The flows that came; `error` is why there are no more."""

    flows: KeptFlows
    error: AbstractRequestException | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no flow of the workspace is missing."""
        return self.error is None and self.flows.is_whole and not self.flows.unreadable_count


async def aflows(token: RapidProToken, on_page: Callable[[int], None], *, fresh: bool = False) -> Came:
    """Return the token's flows: a whole list that the site has kept while it is fresh, else asked for now.

    `fresh` asks in any case; `on_page` gets the number of flows of each page. A whole list is kept for the site's pages
    too. Raises AbstractRequestException if the token may not be used, or nothing came.
    """
    interface = RapidProInterface.for_token(token)
    last = await kept.aget(token)
    if not fresh and last is not None and last.is_fresh and last.is_whole:
        return Came(last)
    await anote_opening(token, Purpose.FLOWS)
    rows, cursor = Rows[Flow](), ""
    try:
        async with aclosing(interface.aiter_flows()) as pages:
            async for page in pages:
                rows.take(page)
                cursor = "" if page.stopped_because == "repeated_cursor" else page.following.get("cursor", "")
                on_page(len(page.rows))
    except AbstractRequestException as error:
        if error.kind in OF_TOKEN or not rows:
            raise
        return Came(kept.made_of(rows, cursor), error)
    flows = kept.made_of(rows, cursor)
    await services.akeep_flows(token, flows)
    return Came(flows)


async def aflow(token: RapidProToken, uuid: UUID) -> Flow | None:
    """Return one flow; None if the workspace has none of that uuid. Raises AbstractRequestException."""
    interface = RapidProInterface.for_token(token)
    await anote_opening(token, Purpose.FLOW)
    flow = await interface.aget_flow(uuid)
    await services.arecord_use(token)
    return flow


async def adefinition(token: RapidProToken, uuid: UUID) -> tuple[Flow | None, Definitions]:
    """Return one flow and its definition, in what RapidPro imports. Raises AbstractRequestException."""
    interface = RapidProInterface.for_token(token)
    await anote_opening(token, Purpose.DEFINITION)
    flow = await interface.aget_flow(uuid)
    definitions = await interface.aget_definitions([uuid]) if flow else Definitions()
    await services.arecord_use(token)
    return flow, definitions


def definition_of(uuid: UUID, definitions: Definitions) -> dict[str, Any]:
    """Return the flow's own definition. Raises CannotDraw if none came."""
    for definition in definitions.flows:
        if str(definition.get("uuid")) == str(uuid):
            return definition
    raise CannotDraw(Reason.MISSING)
