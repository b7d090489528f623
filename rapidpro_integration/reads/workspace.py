"""The workspace itself, its archives and statistics, and its hooks into other systems."""

from datetime import UTC, date, datetime, time, timedelta

from rapidpro_integration.client import dates, errors
from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.decoding import read_object
from rapidpro_integration.client.resources import (
    ARCHIVES,
    RESTHOOK_EVENTS,
    RESTHOOK_SUBSCRIBERS,
    RESTHOOKS,
    STATISTICS,
)
from rapidpro_integration.client.types import (
    Archive,
    DayCounts,
    Resthook,
    ResthookEvent,
    ResthookSubscriber,
    Workspace,
)
from rapidpro_integration.reads.base import Query, Reader, id_param, pages, plain, whole

# Further apart, and a server answers 400.
_LONGEST_STATISTICS = timedelta(days=366)


class WorkspaceReads(Reader):
    """workspace.json, archives.json, statistics.json, resthooks.json and its like."""

    async def avalidate_token(self) -> bool:
        """Return True if the token opens a workspace, False if the server refuses the credential itself.

        Raises TokenValidationException for everything else, with the facts of what stood in the way: a role without
        permission, a used-up budget, a broken or unreachable server, something that is no RapidPro.
        """
        try:
            await self.aget_workspace()
        except errors.TokenRejectedException:
            return False
        except errors.AbstractRequestException as caught:
            error = errors.TokenValidationException.of(caught)
        else:
            return True
        raise error

    validate_token = plain(avalidate_token)

    async def aget_workspace(self) -> Workspace:
        """Return the workspace that the token opens. Raises AbstractRequestException."""

        async def fetch() -> Workspace:
            connection = self._connect()
            return read_object(await connection.workspace(), connection.credential, Workspace, "workspace")

        return await self._joined(("workspace",), fetch)

    get_workspace = plain(aget_workspace)

    def _archives(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        type: str = "",  # noqa: A002  # the server's word
        period: str = "",
    ) -> Query[Archive]:
        """Return all archives of messages and runs, the newest first; the dates bound the day on which one begins.

        `type` is message or run, `period` daily or monthly. Source: rapidpro-api.md, section 9.
        """
        last, first = dates.moments(before_date, after_date, self._timezone)
        days = [moment and datetime.combine(self._day(moment), time.min, UTC) for moment in (last, first)]
        return self._query(ARCHIVES, {"type": type, "period": period}, *days)

    aget_archives, aiter_archives = whole(_archives), pages(_archives)
    get_archives = plain(aget_archives)

    def _statistics(self, since: DateLike = "", until: DateLike = "") -> Query[DayCounts]:
        """Return all days with the messages of each channel, the oldest first, `since` and `until` included.

        They are at most 366 days apart; without them a server chooses the last weeks. Raises ValueError for days
        further apart, before any request. Source: rapidpro-api.md, section 9.
        """
        last, first = (moment and self._day(moment) for moment in dates.moments(until, since, self._timezone))
        if last and first and last - first > _LONGEST_STATISTICS:
            raise ValueError("since and until may be 366 days apart at most.")
        days = {"since": first, "until": last}
        return self._query(STATISTICS, {name: day.isoformat() if day else "" for name, day in days.items()})

    def _day(self, moment: datetime) -> date:
        """Return the day that a moment is in, where the caller is."""
        return moment.astimezone(self._timezone).date()

    aget_statistics = whole(_statistics)
    get_statistics = plain(aget_statistics)

    def _resthooks(self, *, reverse: bool = False) -> Query[Resthook]:
        """Return all resthooks, the last modified first, or last with `reverse`. Source: rapidpro-api.md, section 9."""
        return self._query(RESTHOOKS, reverse=reverse)

    aget_resthooks, aiter_resthooks = whole(_resthooks), pages(_resthooks)
    get_resthooks = plain(aget_resthooks)

    def _resthook_subscribers(
        self,
        *,
        id: int | None = None,  # noqa: A002  # the server's word
        resthook: str = "",
    ) -> Query[ResthookSubscriber]:
        """Return all addresses that are told of resthooks, the newest first. Source: rapidpro-api.md, section 9."""
        return self._query(RESTHOOK_SUBSCRIBERS, {"id": id_param(id), "resthook": resthook})

    aget_resthook_subscribers, aiter_resthook_subscribers = whole(_resthook_subscribers), pages(_resthook_subscribers)
    get_resthook_subscribers = plain(aget_resthook_subscribers)

    def _resthook_events(self, *, resthook: str = "") -> Query[ResthookEvent]:
        """Return all events of resthooks, the newest first. Source: rapidpro-api.md, section 9."""
        return self._query(RESTHOOK_EVENTS, {"resthook": resthook})

    aget_resthook_events, aiter_resthook_events = whole(_resthook_events), pages(_resthook_events)
    get_resthook_events = plain(aget_resthook_events)
