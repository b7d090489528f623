"""An entry's details in words, for the page that its owner reads."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.audit.models import AuditEntry

# What is not named here stays out of the page; the export has it.
_NAMES: Mapping[str, Promise] = {
    "purpose": _("For"),
    "again_in_minute": _("Again in the minute"),
    "server": _("Server"),
    "server_before": _("Server before"),
    "state": _("Found"),
    "status": _("HTTP status"),
    "format": _("Format"),
    "flows": _("Flows"),
    "label": _("New label"),
    "days": _("Days"),
    "by_staff": _("By staff"),
    "from": _("From"),
    "to": _("To"),
    "email": _("Address"),
    "kind": _("Kind"),
    "about": _("About"),
    "searched": _("Searched"),
    "second_factor": _("Second factor"),
    "is_active": _("Account in use"),
    "is_staff": _("Staff"),
    "is_superuser": _("Administrator"),
    "groups_added": _("Groups added"),
    "groups_removed": _("Groups taken away"),
    "permissions_added": _("Permissions added"),
    "permissions_removed": _("Permissions taken away"),
}
# Detail: {value: its words}. Applications add the words for what they write.
_VALUES: dict[str, Mapping[str, str | Promise]] = {}


def register(detail: str, values: Mapping[str, str | Promise]) -> None:
    """Give the words for the values of a detail, as {"flows": _("list of flows")} for "purpose"."""
    _VALUES[detail] = values


def details(entry: AuditEntry) -> list[tuple[str | Promise, str | Promise]]:
    """Return the entry's details as names and values that a person can read."""
    return [(_NAMES[name], _value(name, value)) for name, value in entry.details.items() if name in _NAMES]


def _value(name: str, value: object) -> str | Promise:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if value is None:
        return "–"
    return _VALUES.get(name, {}).get(str(value), str(value))
