"""An async client for RapidPro's API v2, without Django: it could be lifted out as it is.

Each layer knows only those below it:

    api           the raw client, and GETs that give typed rows
    listing       whole lists, page by page         windows   the same, many pages at once
    resources     every endpoint in one table       flights   one request for all who ask the same
    transport     one GET: limits, retries, and every failure made into an error
    quota, breaker, permits, retries, pools, wire, bodies   what a GET passes on its way
    decoding      JSON made into types, safely      lenient   the same for rows that are not as they should be
    soundness     what decoding looks at twice      texts     texts and JSON that anything can hold
    errors        what an answer means              dates     what a caller means
    observing     who counts what requests meet
    credentials   the token                         origins   what a server may be called
    resolving     names into addresses              addresses which may be connected to
"""

from rapidpro_integration.client.api import RapidProAPI
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.client.types import Flow, Page, Rows, Workspace

__all__ = ["AbstractRequestException", "Flow", "Kind", "Limits", "Page", "RapidProAPI", "Rows", "Workspace"]
