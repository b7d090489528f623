"""Writes about servers: wishes, approvals and pauses. Each is one sync transaction; the mail goes out after it."""

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit.actions import Action, Outcome
from accounts.audit.services import record
from accounts.models import User
from rapidpro_integration import kept, selectors, server_mail
from rapidpro_integration.models import RapidProToken, RequestState, Server, ServerRequest

# Each wish is a mail to the administrators.
MAX_WAITING = 5


class ServerAskedAlready(Exception):  # exceptions end in the fact
    """The person has asked for this server, and nobody has answered yet."""


class TooManyServersAsked(Exception):  # exceptions end in the fact
    """The person has MAX_WAITING wishes that nobody has answered yet."""


class ServerPaused(Exception):  # exceptions end in the fact
    """An administrator has paused the server: it is not opened to anybody before that ends."""


def ask_for_server(person: User, name: str, origin: str, reason: str, *, link: str) -> ServerRequest:
    """Save the person's wish for a server and mail it to the administrators; `link` is where they decide.

    `origin` is canonical. Raises ServerAskedAlready and TooManyServersAsked.
    """
    try:
        with transaction.atomic():
            # The person's row is locked, so that two wishes at once are counted one after the other.
            User.objects.select_for_update().get(pk=person.pk)
            if ServerRequest.objects.filter(person=person, state=RequestState.WAITING).count() >= MAX_WAITING:
                raise TooManyServersAsked
            wish = ServerRequest.objects.create(person=person, name=name, origin=origin, reason=reason)
            record(Action.SERVER_ASKED, owner=person, details={"server": origin})
    except IntegrityError:
        wish = None
    if wish is None:
        raise ServerAskedAlready
    server_mail.tell_administrators(wish, link)
    return wish


def decide(wish: ServerRequest, staff: User, state: RequestState, *, answer: str = "", link: str = "") -> bool:
    """Approve or refuse a wish and mail that to the person; return False if somebody has decided already.

    An approved server is open to the person who asked, and to nobody else by that. Raises ServerPaused.
    """
    now = timezone.now()
    with transaction.atomic():
        waiting = ServerRequest.objects.filter(pk=wish.pk, state=RequestState.WAITING)
        if not waiting.update(state=state, answer=answer, decided_by=staff, decided_on=now):
            return False
        if state == RequestState.APPROVED:
            _open_to(wish, staff)
        outcome = Outcome.DONE if state == RequestState.APPROVED else Outcome.REFUSED
        record(Action.SERVER_DECIDED, owner=wish.person, outcome=outcome, details={"server": wish.origin})
    wish.refresh_from_db()
    server_mail.tell_person(wish, link)
    return True


def _open_to(wish: ServerRequest, staff: User) -> None:
    server, is_new = Server.objects.select_for_update().get_or_create(
        origin=wish.origin,
        defaults={"name": wish.name, "approved_by": staff, "approved_on": timezone.now()},
    )
    if server.paused:
        raise ServerPaused
    if not is_new and not selectors.is_live(server):
        # A server that has left the setting was open to all; this approval is for one person.
        server.open_to_all = False
    if server.approved_on is None:
        server.approved_by, server.approved_on = staff, timezone.now()
    server.save(update_fields=["open_to_all", "approved_by", "approved_on"])
    server.users.add(wish.person_id)


def approve_server(server: Server, staff: User) -> bool:
    """Keep a server open whatever the setting says from now on; return whether that changed anything."""
    with transaction.atomic():
        rows = Server.objects.filter(pk=server.pk, approved_on__isnull=True)
        changed = bool(rows.update(approved_by=staff, approved_on=timezone.now()))
        if changed:
            record(Action.SERVER_CHANGED, details={"server": server.origin, "change": "approved"})
    return changed


def pause_server(server: Server, *, paused: bool) -> bool:
    """Stop all sending to a server, or let it go on; return whether that changed anything."""
    with transaction.atomic():
        changed = bool(Server.objects.filter(pk=server.pk).exclude(paused=paused).update(paused=paused))
        if changed:
            if paused:
                kept.drop_on_commit(*RapidProToken.objects.filter(server=server.origin))
            record(
                Action.SERVER_CHANGED,
                details={"server": server.origin, "change": "paused" if paused else "resumed"},
            )
    return changed


aask_for_server = sync_to_async(ask_for_server)
