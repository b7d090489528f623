"""Reads of all people, for staff, and letting them in or not."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from asgiref.sync import sync_to_async
from django import forms
from django.db import transaction
from django.db.models import Count, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import SignedInSession, User
from rapidpro_integration import kept
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.staff.exporting import Columns
from rapidpro_integration.staff.tables import Column

COLUMNS = (
    Column("name", _("Person"), "email", is_text=True),
    Column("signed_in", _("Last sign-in"), "last_login", newest_first=True),
    Column("factor", _("Second factor"), "has_second_factor", newest_first=True),
    Column("tokens", _("Tokens"), "token_count", is_number=True, newest_first=True),
    Column("working", _("Working"), "working_count", is_number=True, newest_first=True),
    Column("used", _("Tokens last used"), "last_used", newest_first=True),
    Column("joined", _("Joined"), "date_joined", newest_first=True),
)
DEFAULT_ORDER = "-signed_in"

EXPORTED: Columns = {
    "id": lambda user: user.pk,
    "email": lambda user: user.email,
    "name": lambda user: user.name,
    "active": lambda user: user.is_active,
    "staff": lambda user: user.is_staff,
    "superuser": lambda user: user.is_superuser,
    "last_login": lambda user: user.last_login,
    "second_factor": lambda user: user.has_second_factor,
    "tokens": lambda user: user.token_count,
    "working_tokens": lambda user: user.working_count,
    "tokens_last_used": lambda user: user.last_used,
    "joined": lambda user: user.date_joined,
}

_YES_NO = [("", _("Any")), ("yes", _("Yes")), ("no", _("No"))]
_TOKENS = [
    ("", _("Any")),
    ("working", _("A working token")),
    ("broken", _("Tokens, and none that works")),
    ("none", _("No token")),
]


class UserFilterForm(forms.Form):
    """The filters of the list of people, as they stand in its address."""

    q = forms.CharField(
        label=_("Name or address"), required=False, max_length=200, widget=forms.TextInput({"type": "search"})
    )
    active = forms.ChoiceField(label=_("May sign in"), required=False, choices=_YES_NO)
    factor = forms.ChoiceField(label=_("Second factor"), required=False, choices=_YES_NO)
    tokens = forms.ChoiceField(label=_("Has"), required=False, choices=_TOKENS)
    staff = forms.BooleanField(label=_("Staff"), required=False)
    idle = forms.IntegerField(label=_("Not signed in for days"), required=False, min_value=1, max_value=36_500)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")

    def rows(self) -> QuerySet[User]:
        """Return the people who fit, none for filters that make no sense."""
        rows = User.objects.all()
        if not self.is_valid():
            return rows.none()
        cleaned = self.cleaned_data
        if text := cleaned["q"]:
            rows = rows.filter(Q(email__icontains=text) | Q(name__icontains=text) | Q(username__icontains=text))
        if cleaned["active"]:
            rows = rows.filter(is_active=cleaned["active"] == "yes")
        if cleaned["staff"]:
            rows = rows.filter(is_staff=True)
        if cleaned["factor"]:
            rows = rows.filter(_factor() if cleaned["factor"] == "yes" else ~_factor())
        if days := cleaned["idle"]:
            since = timezone.now() - timedelta(days=days)
            rows = rows.filter(Q(last_login__lt=since) | Q(last_login=None, date_joined__lt=since))
        if cleaned["tokens"]:
            rows = rows.filter(having(cleaned["tokens"]))
        return rows


def _factor() -> Exists:
    factors = Authenticator.objects.filter(user_id=OuterRef("pk"))
    return Exists(factors.exclude(type=Authenticator.Type.RECOVERY_CODES))


def _tokens() -> QuerySet[RapidProToken]:
    return RapidProToken.objects.filter(owner_id=OuterRef("pk")).order_by()


def having(what: str) -> Q:
    """Return the condition of people who have a "working" token, only "broken" ones, or "none"."""
    any_token, working = Exists(_tokens()), Exists(_tokens().filter(state=TokenState.WORKING))
    return {"working": Q(working), "broken": Q(any_token) & ~Q(working), "none": ~Q(any_token)}[what]


def _number(tokens: QuerySet[RapidProToken]) -> Coalesce:
    numbers = tokens.values("owner_id").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(numbers, output_field=IntegerField()), 0)


def shown(rows: QuerySet[User]) -> QuerySet[User]:
    """Return the rows with what a page shows of each: second factor, tokens, working ones, the last use of one."""
    last = _tokens().values("owner_id").annotate(last=Max("last_used_on")).values("last")
    # Not Exists: for that PostgreSQL would read everybody's factors, whatever the page shows.
    factor = Authenticator.objects.filter(user_id=OuterRef("pk")).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return rows.defer("password").annotate(
        has_second_factor=Coalesce(Subquery(factor.values(yes=Value(True))[:1]), False),
        token_count=_number(_tokens()),
        working_count=_number(_tokens().filter(state=TokenState.WORKING)),
        last_used=Subquery(last),
    )


def sessions_of(user: User) -> int:
    """Return in how many browsers the person is signed in."""
    return SignedInSession.objects.filter(user=user, session__expire_date__gt=timezone.now()).count()


class NotTheirs(Exception):  # exceptions end in the fact
    """Nobody shuts themselves out, and only a superuser shuts out staff."""


def may_change(staff: User, user: User) -> bool:
    """Return whether `staff` may deactivate `user` or let them in again."""
    return staff.pk != user.pk and (staff.is_superuser or not (user.is_staff or user.is_superuser))


def set_active(staff: User, user_id: int, *, active: bool) -> bool:
    """Let the person in or shut them out; return whether that changed anything.

    Shut out means at once: the sessions end (accounts/receivers.py), kept lists are forgotten, and no check asks a
    server with a token of theirs. The tokens themselves stay as they are. Raises NotTheirs and User.DoesNotExist.
    """
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user_id)
        if not may_change(staff, user):
            raise NotTheirs
        if user.is_active == active:
            return False
        user.is_active = active
        # Saved as a row, so that the audit log and what ends sessions hear of it.
        user.save(update_fields=["is_active"])
        if not active:
            kept.drop_on_commit(*RapidProToken.objects.filter(owner=user))
    return True


aset_active = sync_to_async(set_active)
asessions_of = sync_to_async(sessions_of)
