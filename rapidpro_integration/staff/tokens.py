"""Reads of everybody's tokens, for staff: filters, counts, order. What a token holds is never fetched to be shown."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from rapidpro_integration import selectors, servers
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.staff.exporting import Columns
from rapidpro_integration.staff.tables import Column, Order

# What may stand in the way of a token's use for good: what staff should look at first.
BROKEN = (TokenState.REJECTED, TokenState.NOT_ALLOWED, TokenState.NOT_RAPIDPRO, TokenState.LOCKED)

COLUMNS = (
    Column("label", _("Token"), "label", is_text=True),
    Column("owner", _("Owner"), "owner__email", is_text=True),
    Column("state", _("State"), "state"),
    Column("workspace", _("Workspace, server"), "workspace_name", is_text=True),
    Column("created", _("Saved"), "created_on", newest_first=True),
    Column("used", _("Last used"), "last_used_on", newest_first=True),
    Column("checked", _("Checked"), "checked_on", newest_first=True),
)
DEFAULT_ORDER = "-created"

EXPORTED: Columns = {
    "id": lambda token: token.pk,
    "label": lambda token: token.label,
    "owner": lambda token: token.owner.email,
    "state": lambda token: token.state,
    "workspace": lambda token: token.workspace_name,
    "workspace_uuid": lambda token: token.workspace_uuid,
    "server": lambda token: token.server,
    "created_on": lambda token: token.created_on,
    "last_used_on": lambda token: token.last_used_on,
    "checked_on": lambda token: token.checked_on,
    "broken_since": lambda token: token.broken_since,
    "replace_by": lambda token: token.rotate_on,
    "check_status": lambda token: token.check_status,
    "check_duration_ms": lambda token: token.check_duration_ms,
}


class TokenFilterForm(forms.Form):
    """The filters of the list of tokens, as they stand in its address."""

    q = forms.CharField(
        label=_("Label, owner or workspace"),
        required=False,
        max_length=200,
        widget=forms.TextInput({"type": "search"}),
    )
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("Any")), *TokenState.choices])
    server = forms.CharField(label=_("Server"), required=False, max_length=255, widget=forms.Select)
    broken = forms.BooleanField(label=_("Needs attention"), required=False)
    never = forms.BooleanField(label=_("Never checked"), required=False)
    shared = forms.BooleanField(label=_("Workspace held by several people"), required=False)
    rotate = forms.BooleanField(label=_("Should be replaced by now"), required=False)
    idle = forms.IntegerField(label=_("Idle for days"), required=False, min_value=1, max_value=36_500)
    workspace = forms.UUIDField(required=False, widget=forms.HiddenInput)
    owner = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")

    def offer_servers(self, counts: Mapping[str, int]) -> None:
        """Let these servers be chosen."""
        widget = self.fields["server"].widget
        assert isinstance(widget, forms.Select)  # noqa: S101  # narrows the type
        offered = [(origin, f"{servers.host(origin)} ({number})") for origin, number in counts.items()]
        widget.choices = [("", _("Any")), *offered]

    @property
    def checks(self) -> list[forms.BoundField]:
        """The boxes that are ticked or not."""
        return [field for field in self.visible_fields() if isinstance(field.field, forms.BooleanField)]

    def rows(self) -> QuerySet[RapidProToken]:
        """Return the tokens that fit; none for filters that make no sense."""
        rows = all_tokens()
        if not self.is_valid():
            return rows.none()
        cleaned = self.cleaned_data
        if text := cleaned["q"]:
            named = Q(label__icontains=text) | Q(workspace_name__icontains=text)
            rows = rows.filter(named | Q(owner__email__icontains=text) | Q(owner__name__icontains=text))
        wanted = {name: cleaned[name] for name in ("state", "server") if cleaned[name]}
        if cleaned["workspace"]:
            wanted["workspace_uuid"] = cleaned["workspace"]
        if cleaned["owner"]:
            wanted["owner_id"] = cleaned["owner"]
        rows = rows.filter(**wanted)
        if cleaned["broken"]:
            rows = rows.filter(state__in=BROKEN)
        if cleaned["never"]:
            rows = rows.filter(checked_on=None)
        if cleaned["shared"]:
            rows = rows.filter(held_by_others())
        if cleaned["rotate"]:
            rows = rows.filter(rotate_on__lt=timezone.now())
        if days := cleaned["idle"]:
            rows = rows.filter(idle_since(days))
        return rows


def all_tokens() -> QuerySet[RapidProToken]:
    """Return everybody's tokens with their owners, without what tells one secret from another."""
    return RapidProToken.objects.select_related("owner").defer("fingerprint", "last_four")


def held_by_others() -> Exists:
    """Return the condition of a token whose workspace another person holds a token of, too."""
    same = RapidProToken.objects.filter(server=OuterRef("server"), workspace_uuid=OuterRef("workspace_uuid"))
    return Exists(same.exclude(owner_id=OuterRef("owner_id")))


def idle_since(days: int) -> Q:
    """Return the condition of a token that was not used for so many days, or never and is as old."""
    since = timezone.now() - timedelta(days=days)
    return Q(last_used_on__lt=since) | Q(last_used_on=None, created_on__lt=since)


def shown(rows: QuerySet[RapidProToken], order: Order, *, last_four: bool) -> QuerySet[RapidProToken]:
    """Return the rows as a page shows them, with what the owner may do at the server and, if allowed, the last four."""
    if last_four:
        rows = rows.defer(None).defer("fingerprint")
    return selectors.with_access(order.apply(rows))


def server_counts() -> dict[str, int]:
    """Return how many tokens there are for each server, by its origin."""
    # Of "*" and not of the key: the index of states and servers answers it, without the table.
    rows = RapidProToken.objects.order_by("server").values("server").annotate(number=Count("*"))
    return {row["server"]: row["number"] for row in rows}


def ids_of(rows: QuerySet[RapidProToken], limit: int) -> list[str]:
    """Return the ids of the first rows, the oldest first."""
    return [str(pk) for pk in rows.order_by("created_on", "pk").values_list("pk", flat=True)[:limit]]


def known_ids(texts: list[str]) -> list[str]:
    """Return those of the ids that are of tokens, in a fixed order; what is no id is left out."""
    wanted = []
    for text in texts:
        try:
            wanted.append(UUID(text))
        except ValueError:
            continue
    return ids_of(RapidProToken.objects.filter(pk__in=wanted), len(wanted))


def of_person(owner: User) -> QuerySet[RapidProToken]:
    """Return one person's tokens as staff see them, by label."""
    return selectors.with_access(all_tokens().filter(owner=owner))
