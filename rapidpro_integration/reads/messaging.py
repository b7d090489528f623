"""Messages and what carries, sorts and plans them; tickets."""

from uuid import UUID

from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.resources import (
    BROADCASTS,
    CAMPAIGN_EVENTS,
    CAMPAIGNS,
    CHANNEL_EVENTS,
    CHANNELS,
    LABELS,
    MESSAGES,
    MESSAGES_SENT,
    TICKETS,
    TOPICS,
)
from rapidpro_integration.client.types import (
    Broadcast,
    Campaign,
    CampaignEvent,
    Channel,
    ChannelEvent,
    Label,
    Message,
    Ticket,
    Topic,
)
from rapidpro_integration.reads.base import (
    Query,
    Reader,
    id_param,
    name_param,
    only_one_of,
    pages,
    plain,
    uuid_param,
    whole,
)


class MessagingReads(Reader):
    """messages.json, broadcasts.json, labels.json, channels.json, campaigns.json, tickets.json and their like."""

    def _messages(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        uuid: str | UUID = "",
        id: int | None = None,  # noqa: A002  # the server's word
        contact: str | UUID = "",
        folder: str = "",
        label: str | UUID = "",
        broadcast: int | None = None,
        concurrency: int = 1,
    ) -> Query[Message]:
        """Return all messages, the newest first; the dates bound the time of creation.

        Only one of `contact`, `folder` (inbox, sent…), `label` (its uuid or name) and `broadcast` (its id). The folder
        "sent" comes in the order of sending.
        Source: rapidpro-api.md, section 9; they are counted in a budget of their own, section 7.
        """
        only_one_of(contact=contact, folder=folder, label=label, broadcast=broadcast)
        params: dict[str, str | list[str]] = {
            "uuid": uuid_param(uuid),
            "id": id_param(id),
            "contact": uuid_param(contact),
            "folder": folder,
            "label": name_param(label),
            "broadcast": id_param(broadcast),
        }
        resource = MESSAGES_SENT if folder == "sent" else MESSAGES
        return self._query(resource, params, before_date, after_date, concurrency=concurrency)

    aget_messages, aiter_messages = whole(_messages), pages(_messages)
    get_messages = plain(aget_messages)

    def _broadcasts(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        uuid: str | UUID = "",
        id: int | None = None,  # noqa: A002  # the server's word
        concurrency: int = 1,
    ) -> Query[Broadcast]:
        """Return all broadcasts, the newest first; the dates bound the time of creation.

        Source: rapidpro-api.md, section 9.
        """
        params: dict[str, str | list[str]] = {"uuid": uuid_param(uuid), "id": id_param(id)}
        return self._query(BROADCASTS, params, before_date, after_date, concurrency=concurrency)

    aget_broadcasts, aiter_broadcasts = whole(_broadcasts), pages(_broadcasts)
    get_broadcasts = plain(aget_broadcasts)

    def _labels(self, *, uuid: str | UUID = "", name: str = "") -> Query[Label]:
        """Return all labels of messages, the newest first: of one `uuid`, or of one `name`.

        Source: rapidpro-api.md, section 9.
        """
        only_one_of(uuid=uuid, name=name)
        return self._query(LABELS, {"uuid": uuid_param(uuid), "name": name})

    aget_labels, aiter_labels = whole(_labels), pages(_labels)
    get_labels = plain(aget_labels)

    def _channels(self, *, uuid: str | UUID = "", address: str = "") -> Query[Channel]:
        """Return all channels, the newest first. Source: rapidpro-api.md, section 9."""
        return self._query(CHANNELS, {"uuid": uuid_param(uuid), "address": address})

    aget_channels, aiter_channels = whole(_channels), pages(_channels)
    get_channels = plain(aget_channels)

    def _channel_events(
        self,
        before_date: DateLike = "",
        after_date: DateLike = "",
        *,
        id: int | None = None,  # noqa: A002  # the server's word
        contact: str | UUID = "",
        concurrency: int = 1,
    ) -> Query[ChannelEvent]:
        """Return all events of channels, calls for one, the newest first; the dates bound the time of creation.

        Source: rapidpro-api.md, section 9.
        """
        params: dict[str, str | list[str]] = {"id": id_param(id), "contact": uuid_param(contact)}
        return self._query(CHANNEL_EVENTS, params, before_date, after_date, concurrency=concurrency)

    aget_channel_events, aiter_channel_events = whole(_channel_events), pages(_channel_events)
    get_channel_events = plain(aget_channel_events)

    def _campaigns(self, *, uuid: str | UUID = "") -> Query[Campaign]:
        """Return all campaigns, the newest first. Source: rapidpro-api.md, section 9."""
        return self._query(CAMPAIGNS, {"uuid": uuid_param(uuid)})

    aget_campaigns, aiter_campaigns = whole(_campaigns), pages(_campaigns)
    get_campaigns = plain(aget_campaigns)

    def _campaign_events(self, *, uuid: str | UUID = "", campaign: str | UUID = "") -> Query[CampaignEvent]:
        """Return all events of campaigns, the newest first; of one `campaign`, by its uuid or name.

        Source: rapidpro-api.md, section 9.
        """
        return self._query(CAMPAIGN_EVENTS, {"uuid": uuid_param(uuid), "campaign": name_param(campaign)})

    aget_campaign_events, aiter_campaign_events = whole(_campaign_events), pages(_campaign_events)
    get_campaign_events = plain(aget_campaign_events)

    def _tickets(self, *, uuid: str | UUID = "", contact: str | UUID = "", reverse: bool = False) -> Query[Ticket]:
        """Return all tickets, the last modified first, or last with `reverse`. Source: rapidpro-api.md, section 9."""
        params: dict[str, str | list[str]] = {"uuid": uuid_param(uuid), "contact": uuid_param(contact)}
        return self._query(TICKETS, params, reverse=reverse)

    aget_tickets, aiter_tickets = whole(_tickets), pages(_tickets)
    get_tickets = plain(aget_tickets)

    def _topics(self) -> Query[Topic]:
        """Return all topics of tickets, the newest first. Source: rapidpro-api.md, section 9."""
        return self._query(TOPICS)

    aget_topics, aiter_topics = whole(_topics), pages(_topics)
    get_topics = plain(aget_topics)
