"""Contacts and what sorts and describes them; users; areas."""

from collections.abc import Sequence
from uuid import UUID

from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.resources import BOUNDARIES, CONTACTS, FIELDS, GLOBALS, GROUPS, USERS
from rapidpro_integration.client.types import Boundary, Contact, Field, Global, Group, User
from rapidpro_integration.reads.base import (
    Query,
    Reader,
    flag_param,
    list_param,
    name_param,
    only_one_of,
    pages,
    plain,
    uuid_param,
    uuids_param,
    whole,
)


class PeopleReads(Reader):
    """contacts.json, groups.json, fields.json, globals.json, users.json, boundaries.json."""

    def _contacts(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        uuid: str | UUID = "",
        urn: str = "",
        group: str | UUID = "",
        deleted: bool = False,
        urn_order: str = "",
        reverse: bool = False,
        concurrency: int = 1,
    ) -> Query[Contact]:
        """Return all contacts, the last modified first; the dates bound the time of modification.

        Only one of `uuid`, `urn` ("tel:+250…"), `group` (its uuid or name) and `deleted`. `reverse` gives the oldest
        first. A server's `expand_urns` is left out: it needs a second server of RapidPro's and breaks without.
        Source: rapidpro-api.md, section 9; they are counted in a budget of their own, section 7.
        """
        only_one_of(uuid=uuid, urn=urn, group=group, deleted=deleted)
        params: dict[str, str | list[str]] = {
            "uuid": uuid_param(uuid),
            "urn": urn,
            "group": name_param(group),
            "deleted": flag_param(deleted or None),
            "urn_order": urn_order,
        }
        return self._query(CONTACTS, params, before_date, after_date, concurrency=concurrency, reverse=reverse)

    aget_contacts, aiter_contacts = whole(_contacts), pages(_contacts)
    get_contacts = plain(aget_contacts)

    def _groups(self, *, uuid: str | UUID = "", name: str = "", manual_only: bool = False) -> Query[Group]:
        """Return all groups of contacts, the newest first: of one `uuid`, or of one `name` in any case.

        `manual_only` leaves out those that a query fills and those of the system. Source: rapidpro-api.md, section 9.
        """
        only_one_of(uuid=uuid, name=name)
        return self._query(
            GROUPS, {"uuid": uuid_param(uuid), "name": name, "manual_only": flag_param(manual_only or None)}
        )

    aget_groups, aiter_groups = whole(_groups), pages(_groups)
    get_groups = plain(aget_groups)

    def _contact_fields(self, *, key: str = "") -> Query[Field]:
        """Return all contact fields, the newest first. Source: rapidpro-api.md, section 9."""
        return self._query(FIELDS, {"key": key})

    aget_fields, aiter_fields = whole(_contact_fields), pages(_contact_fields)
    get_fields = plain(aget_fields)

    def _globals(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        key: str = "",
        reverse: bool = False,
        concurrency: int = 1,
    ) -> Query[Global]:
        """Return all globals, the last modified first; the dates bound the time of modification.

        `reverse` gives the oldest first. Source: rapidpro-api.md, section 9.
        """
        params: dict[str, str | list[str]] = {"key": key}
        return self._query(GLOBALS, params, before_date, after_date, concurrency=concurrency, reverse=reverse)

    aget_globals, aiter_globals = whole(_globals), pages(_globals)
    get_globals = plain(aget_globals)

    def _users(
        self, *, uuids: Sequence[str | UUID] = (), emails: Sequence[str] = (), roles: Sequence[str] = ()
    ) -> Query[User]:
        """Return all users of the workspace, the newest first, with any of these uuids, addresses and roles.

        Roles are administrator, editor and agent. Source: rapidpro-api.md, section 9.
        """
        return self._query(USERS, {"uuid": uuids_param(uuids), "email": list_param(emails), "role": list_param(roles)})

    aget_users, aiter_users = whole(_users), pages(_users)
    get_users = plain(aget_users)

    def _boundaries(self) -> Query[Boundary]:
        """Return all administrative areas of the workspace's country. Source: rapidpro-api.md, section 9."""
        return self._query(BOUNDARIES)

    aget_boundaries, aiter_boundaries = whole(_boundaries), pages(_boundaries)
    get_boundaries = plain(aget_boundaries)
