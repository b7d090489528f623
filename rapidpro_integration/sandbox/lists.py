"""Every list of a workspace by its endpoint: the long ones are made when first asked for."""

from collections.abc import Callable, Mapping, Sequence

from rapidpro_integration.sandbox.archives import archives
from rapidpro_integration.sandbox.boundaries import boundaries
from rapidpro_integration.sandbox.model import Row, Workspace
from rapidpro_integration.sandbox.people import contacts
from rapidpro_integration.sandbox.plans import (
    campaign_events,
    campaigns,
    resthook_events,
    resthook_subscribers,
    resthooks,
)
from rapidpro_integration.sandbox.runs import flow_starts, runs
from rapidpro_integration.sandbox.talk import broadcasts, channel_events, messages, tickets

_MADE_WHEN_ASKED: Mapping[str, Callable[[str], Sequence[Row]]] = {
    "archives": archives,
    "boundaries": boundaries,
    "broadcasts": broadcasts,
    "campaign_events": campaign_events,
    "campaigns": campaigns,
    "channel_events": channel_events,
    "contacts": contacts,
    "flow_starts": flow_starts,
    "messages": messages,
    "resthook_events": resthook_events,
    "resthook_subscribers": resthook_subscribers,
    "resthooks": resthooks,
    "runs": runs,
    "tickets": tickets,
}


def rows_of(workspace: Workspace, endpoint: str) -> Sequence[Row]:
    """Return the rows of a list in its order; a list that the workspace lacks is empty."""
    make = _MADE_WHEN_ASKED.get(endpoint)
    return make(workspace.slug) if make else workspace.tables.get(endpoint, ())
