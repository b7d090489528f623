"""An async client for RapidPro's API v2, without Django: it could be lifted out as it is.

Each layer knows only those below it:

    api           one method a resource, raw responses
    transport     one GET: time limits, caps, failures made into errors
    parsing       JSON made safe          types   what it tells
    errors        what an answer means    dates   what a caller means
    credentials   the token               origins what a server may be called
    resolving     names into addresses    addresses   which may be connected to
"""

from rapidpro_integration.client.api import RapidProAPI
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.types import Flow, FlowList, FlowPage, Workspace

__all__ = ["AbstractRequestException", "Flow", "FlowList", "FlowPage", "Kind", "RapidProAPI", "Workspace"]
