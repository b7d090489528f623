"""Reads: every one takes the owner first, so that another tenant's row is never found."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.http import Http404

from rapidpro_integration import servers
from rapidpro_integration.models import RapidProToken, Server, ServerRequest, TokenState
from rapidpro_integration.servers import Access, OpenServer, Reach

# An origin that anybody may name, given that it is canonical: https, no port, a name that does not end in a number.
_ORDINARY = r"^https://[a-z0-9.-]+\.[a-z][a-z0-9-]*$"


def _live() -> Q:
    """Rows that still count: approved, or named by the setting as it is now."""
    return Q(approved_on__isnull=False) | Q(origin__in=servers.named())


def is_live(server: Server) -> bool:
    """Return whether the row still counts, apart from a pause."""
    return server.approved_on is not None or server.is_named


def _open_to(person: OuterRef | int) -> Q:
    return Q(paused=False) & _live() & (Q(open_to_all=True) | Q(users=person))


def _deciding() -> Q:
    """Rows beside which a setting has no say."""
    return Q(paused=True) | _live()


def with_access(tokens: QuerySet[RapidProToken]) -> QuerySet[RapidProToken]:
    """Return the tokens, each with what its owner may do at its server, asked in the same query."""
    rows = Server.objects.filter(origin=OuterRef("server"))
    mine = rows.filter(_open_to(OuterRef("owner_id")))
    named, private = servers.named(), servers.private_origins()
    branches = [
        When(Exists(mine.filter(allow_private=True, origin__in=private)), then=Value(Access.PRIVATE)),
        When(Exists(mine), then=Value(Access.LISTED)),
        When(Exists(rows.filter(_deciding())), then=Value(Access.CLOSED)),
        When(Q(server__in=named) & Q(server__in=private), then=Value(Access.PRIVATE)),
        When(server__in=named, then=Value(Access.LISTED)),
    ]
    if settings.RAPIDPRO_ANY_PUBLIC_SERVER:
        branches.append(When(server__regex=_ORDINARY, then=Value(Access.PUBLIC)))
    access = Case(*branches, default=Value(Access.CLOSED), output_field=models.CharField())
    return tokens.annotate(access=access)  # type: ignore[no-redef]  # the class says what a row without it is: closed


def tokens_of(owner_id: int) -> QuerySet[RapidProToken]:
    """Return the owner's tokens by label, each with its `access`.

    A field that was not fetched raises instead of asking the database.
    """
    return with_access(RapidProToken.objects.filter(owner_id=owner_id)).fetch_mode(models.FETCH_RAISE)


def get_token_or_404(owner_id: int, token_id: UUID) -> RapidProToken:
    """Return the owner's token, still sealed. Raises Http404 for an unknown one and for another tenant's alike."""
    token = tokens_of(owner_id).filter(pk=token_id).first()
    if token is None:
        raise Http404
    return token


def find_token(token_id: UUID) -> RapidProToken | None:
    """Return anybody's token with its `owner`, for commands that an operator of the site runs; no page may ask this."""
    tokens = with_access(RapidProToken.objects.select_related("owner")).fetch_mode(models.FETCH_RAISE)
    return tokens.filter(pk=token_id).first()


async def ais_usable(token: RapidProToken) -> bool:
    """Return whether the row still holds the token that was read, and it may still be sent to its server."""
    rows = tokens_of(token.owner_id).filter(pk=token.pk, sealed=token.sealed, server=token.server)
    row = await rows.afirst()
    return row is not None and row.shown_state not in {TokenState.DISABLED, TokenState.LOCKED}


def reach_of(person_id: int) -> Reach:
    """Return the servers that the person's tokens may be sent to: those of the setting first, then by name."""
    named, private = servers.named(), servers.private_origins()
    mine = Server.objects.filter(_open_to(person_id), pk=OuterRef("pk"))
    rows = Server.objects.filter(_deciding()).annotate(is_open=Exists(mine))
    open_servers, closed = [], set()
    for row in rows:
        if row.is_open:
            access = Access.PRIVATE if row.allow_private and row.origin in private else Access.LISTED
            open_servers.append(OpenServer(row.origin, row.name, access))
        else:
            closed.add(row.origin)
    known = closed.union(server.origin for server in open_servers)
    open_servers += [
        OpenServer(origin, servers.host(origin), Access.PRIVATE if origin in private else Access.LISTED)
        for origin in named
        if origin not in known
    ]
    order = {origin: number for number, origin in enumerate(named)}
    # Stable: the database has put the others in the order of their names.
    open_servers.sort(key=lambda server: order.get(server.origin, len(order)))
    return Reach(tuple(open_servers), frozenset(closed), bool(settings.RAPIDPRO_ANY_PUBLIC_SERVER))


async def aserver_requests_of(person_id: int) -> list[ServerRequest]:
    """Return what the person has asked for, newest first."""
    requests = ServerRequest.objects.filter(person_id=person_id).fetch_mode(models.FETCH_RAISE)
    return [request async for request in requests]


aget_token_or_404, areach_of = sync_to_async(get_token_or_404), sync_to_async(reach_of)
