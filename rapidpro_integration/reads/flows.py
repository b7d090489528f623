"""Flows, their runs, starts and definitions."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from rapidpro_integration.client import errors
from rapidpro_integration.client.dates import DateLike, require_uuid
from rapidpro_integration.client.decoding import read_json, read_object, rows_of
from rapidpro_integration.client.lenient import struct_of
from rapidpro_integration.client.resources import FLOW_STARTS, FLOWS, RUNS
from rapidpro_integration.client.texts import clean_json
from rapidpro_integration.client.types import Definitions, Flow, FlowStart, Page, Run
from rapidpro_integration.reads.base import (
    Query,
    Reader,
    flag_param,
    id_param,
    only_one_of,
    pages,
    plain,
    uuid_param,
    uuids_param,
    whole,
)

# 50 uuids are 2,100 bytes of address; gunicorn refuses a request line of more than 4,094.
BATCH = 50
_DEFINITIONS = "/api/v2/definitions.json"
type Dependencies = Literal["none", "flows", "all"]


class FlowReads(Reader):
    """flows.json, flow_starts.json, runs.json, definitions.json."""

    def _flows(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        type: str = "",  # noqa: A002  # the server's word
        archived: bool | None = None,
        concurrency: int = 1,
        cursor: str = "",
    ) -> Query[Flow]:
        """Return all flows, archived ones too, newest first by creation, of one moment by uuid, each once.

        The dates are inclusive bounds on the time of *modification*; `type` is message, voice, background or survey.
        The list also says how many rows could not be read, and whether it stopped early (`Rows`). With
        `concurrency` the time of modification is split into windows and so many pages are asked at once: sooner, and
        with a few requests more. `cursor`, from a page's `following`, begins where that page ended. Raises ValueError
        for a malformed date, a window that ends before it begins, or both of these, before any request;
        AbstractRequestException. Source: rapidpro-api.md, section 4.
        """
        if cursor and concurrency > 1:
            raise ValueError("A cursor belongs to one way through the list: it goes with a concurrency of 1.")
        params: dict[str, str | list[str]] = {"type": type, "archived": flag_param(archived), "cursor": cursor}
        return self._query(FLOWS, params, before_date, after_date, concurrency=concurrency)

    aget_flows, aiter_flows = whole(_flows), pages(_flows)
    get_flows = plain(aget_flows)

    def aiter_flow_pages(self, before_date: DateLike = "", after_date: DateLike = "") -> AsyncGenerator[Page[Flow]]:
        """Iterate over the pages of flows: aiter_flows by the name that scripts knew first."""
        return self.aiter_flows(before_date, after_date)

    async def aget_flow(self, uuid: str | UUID) -> Flow | None:
        """Return the flow of that uuid with its raw JSON, archived or not; None if the workspace has none.

        Raises ValueError for a malformed or empty uuid, before any request; AbstractRequestException.
        """
        wanted = require_uuid(uuid)

        async def fetch() -> Flow | None:
            connection = self._connect()
            answer = await connection.get(FLOWS.path, {"uuid": str(wanted)})
            rows = rows_of(read_json(answer, connection.credential))
            read = [(struct_of(Flow, row), row) for row in rows]
            found = next(((flow, row) for flow, row in read if flow is not None and flow.uuid == wanted), None)
            if found is not None:
                return msgspec.structs.replace(found[0], raw=clean_json(found[1]))
            if any(flow is None for flow, _ in read):
                raise errors.MalformedException("The server's row for this flow cannot be read.", status_code=200)
            return None

        return await self._joined(("flow", wanted), fetch)

    get_flow = plain(aget_flow)

    def _flow_starts(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        uuid: str | UUID = "",
        reverse: bool = False,
        concurrency: int = 1,
    ) -> Query[FlowStart]:
        """Return all flow starts, the last modified first; the dates bound the time of modification.

        `reverse` gives the oldest first. Source: rapidpro-api.md, section 9.
        """
        params: dict[str, str | list[str]] = {"uuid": uuid_param(uuid)}
        return self._query(FLOW_STARTS, params, before_date, after_date, concurrency=concurrency, reverse=reverse)

    aget_flow_starts, aiter_flow_starts = whole(_flow_starts), pages(_flow_starts)
    get_flow_starts = plain(aget_flow_starts)

    def _runs(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        uuid: str | UUID = "",
        id: int | None = None,  # noqa: A002  # the server's word
        contact: str | UUID = "",
        flow: str | UUID = "",
        responded: bool = False,
        paths: bool = True,
        reverse: bool = False,
        concurrency: int = 1,
    ) -> Query[Run]:
        """Return all runs, the last modified first; the dates bound the time of modification.

        Of one contact, or of one flow, not both; `responded` gives only those with an answer; without `paths` each
        `path` is None, and the answer a good deal shorter. `reverse` gives the oldest first.
        Source: rapidpro-api.md, section 9; they are counted in a budget of their own, section 7.
        """
        only_one_of(contact=contact, flow=flow)
        params: dict[str, str | list[str]] = {
            "uuid": uuid_param(uuid),
            "id": id_param(id),
            "contact": uuid_param(contact),
            "flow": uuid_param(flow),
            "responded": flag_param(responded or None),
            "paths": "" if paths else "false",
        }
        return self._query(RUNS, params, before_date, after_date, concurrency=concurrency, reverse=reverse)

    aget_runs, aiter_runs = whole(_runs), pages(_runs)
    get_runs = plain(aget_runs)

    async def aget_definitions(
        self,
        uuids: Sequence[str | UUID] = (),
        *,
        campaigns: Sequence[str | UUID] = (),
        dependencies: Dependencies = "none",
    ) -> Definitions:
        """Return the definitions of flows and campaigns, BATCH uuids a request, in the order in which they are named.

        `dependencies` adds what they lead to: "flows" child flows, "all" everything (one flow can bring fifty along).
        Leave out flows without a revision (their `results` are empty): a server breaks on a request that names one.
        Raises ValueError for a malformed uuid, none at all or another word, before any request;
        AbstractRequestException. Source: rapidpro-api.md, section 9.
        """
        flows, wanted = uuids_param(uuids), uuids_param(campaigns)
        if dependencies not in {"none", "flows", "all"}:
            raise ValueError('dependencies is "none", "flows" or "all".')
        if not flows and not wanted:
            raise ValueError("Name a flow or a campaign: a server breaks on a request for none.")

        async def fetch() -> Definitions:
            connection = self._connect()
            found = Definitions()
            for number in range(0, max(len(flows), len(wanted)), BATCH):
                batch = {"flow": flows[number : number + BATCH], "campaign": wanted[number : number + BATCH]}
                params = {name: values for name, values in batch.items() if values} | {"dependencies": dependencies}
                answer = await connection.get(_DEFINITIONS, params)
                found = _merged(found, read_object(answer, connection.credential, Definitions, "export"))
            return _in_order(found, flows + wanted)

        return await self._joined(("definitions", *flows, "/", *wanted, dependencies), fetch)

    get_definitions = plain(aget_definitions)


def _merged(found: Definitions, more: Definitions) -> Definitions:
    """Return what two answers hold together; what both have is there once."""
    parts = {
        name: tuple({_identity(item): item for item in (*getattr(found, name), *getattr(more, name))}.values())
        for name in ("flows", "campaigns", "triggers", "fields", "groups")
    }
    return Definitions(version=more.version or found.version, site=more.site or found.site, **parts)


def _identity(item: dict[str, Any]) -> object:
    return item.get("uuid") or item.get("key") or repr(item)


def _in_order(found: Definitions, wanted: list[str]) -> Definitions:
    """Return the flows and campaigns that were named first, as they were named, and tell which did not come."""
    places = {uuid: place for place, uuid in enumerate(wanted)}

    def place(item: dict[str, Any]) -> int:
        return places.get(str(item.get("uuid")), len(places))

    came = {str(item.get("uuid")) for item in (*found.flows, *found.campaigns)}
    return msgspec.structs.replace(
        found,
        flows=tuple(sorted(found.flows, key=place)),
        campaigns=tuple(sorted(found.campaigns, key=place)),
        missing=tuple(UUID(uuid) for uuid in places if uuid not in came),
    )
