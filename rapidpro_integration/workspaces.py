"""All workspaces of one person at a glance, and one search over their flows: out of what is kept, without a request.

A card is made of the token's row and of the summary beside its kept list. What a server refused is not shown any more
(docs/adr/0011-kept-lists.md), so such a token's list is neither counted nor searched.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import kept
from rapidpro_integration.client.types import Flow
from rapidpro_integration.flow_filters import by_words
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.problems import Problem, Text, problem_of_state
from rapidpro_integration.states import REFUSED
from rapidpro_integration.summaries import Summary

FLOWS_A_WORKSPACE = 5
# How long all lists together may take to be searched; 25,000 flows that have to be decoded first take 0.2 s.
SEARCH_S = 2.0
_CLOSED = frozenset({TokenState.DISABLED, TokenState.LOCKED})

NOTHING_KEPT = _("Its flows are not here yet")
OUT_OF_TIME = _("Searching the others took too long")


@dataclass(frozen=True, slots=True)
class Card:
    """One token: its state, and the numbers of its kept list if there is one that may be shown.

    `problem` is what stands in the token's way; `changed` and `new` count since `yesterday` began.
    """

    token: RapidProToken
    state: TokenState
    summary: Summary | None
    yesterday: datetime
    problem: Problem | None = None

    @property
    def is_open(self) -> bool:
        """Whether its flows may be looked at: neither locked nor disabled."""
        return self.state not in _CLOSED

    @property
    def is_shown(self) -> bool:
        """Whether what is kept of it may be shown: not after its server has refused it."""
        return self.is_open and self.state not in REFUSED

    @property
    def is_fresh(self) -> bool:
        """Whether its list is so young that asking again would be a waste."""
        fresh = timedelta(seconds=settings.FLOWS_FRESH_S)
        return self.summary is not None and timezone.now() - self.summary.fetched_at < fresh

    @property
    def is_old(self) -> bool:
        """Whether its list is of another day than today, so that an hour alone would mislead."""
        return self.summary is not None and timezone.localdate(self.summary.fetched_at) != timezone.localdate()

    @property
    def changed(self) -> int:
        """How many flows were modified or made since yesterday."""
        return self.summary.changed_since(self.yesterday) if self.summary else 0

    @property
    def new(self) -> int:
        """How many of them were made since yesterday."""
        return self.summary.new_since(self.yesterday) if self.summary else 0

    @property
    def name(self) -> str:
        """What a person calls the workspace."""
        return self.token.workspace_name or self.token.label

    @property
    def workspace(self) -> tuple[str, UUID]:
        """What is the same for all tokens of one workspace."""
        return self.token.server, self.token.workspace_uuid or self.token.pk


@dataclass(frozen=True, slots=True)
class Group:
    """What was found in one workspace: the first flows, and how many there are."""

    card: Card
    flows: list[Flow]
    count: int

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are shown."""
        return self.count > len(self.flows)


@dataclass(frozen=True, slots=True)
class Unsearched:
    """A workspace that could not be searched, and why."""

    card: Card
    reason: Text


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found: groups in the order of the cards, and where it could not look.

    With `query` a list of flows shows exactly what is found in it.
    """

    query: str
    groups: list[Group]
    unsearched: list[Unsearched]
    searched: int

    @property
    def count(self) -> int:
        """All flows that were found."""
        return sum(group.count for group in self.groups)


@dataclass(frozen=True, slots=True)
class Overview:
    """The cards in the order of the labels, and what was searched for among their flows."""

    cards: list[Card]
    yesterday: datetime
    results: Results | None

    @property
    def oldest(self) -> Card | None:
        """The card with the oldest data."""
        ages = [(card.summary.fetched_at, number) for number, card in enumerate(self.cards) if card.summary]
        return self.cards[min(ages)[1]] if ages else None


def overview(tokens: Sequence[RapidProToken], typed: str = "") -> Overview:
    """Return the cards of these tokens of one person, and what is found for `typed`. Asks no server, writes nothing."""
    yesterday = _yesterday()
    states = [(token, token.shown_state) for token in tokens]
    numbers = kept.summaries(token for token, state in states if state not in _CLOSED | REFUSED)
    cards = [Card(token, state, numbers.get(token.pk), yesterday, problem_of_state(state)) for token, state in states]
    return Overview(cards, yesterday, _search(cards, typed) if typed.strip() else None)


def _yesterday() -> datetime:
    """Return when yesterday began where the person is."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    # A day of the calendar, not 24 hours: the clocks may have been changed between.
    return midnight - timedelta(days=1)


def _search(cards: list[Card], typed: str) -> Results:
    deadline = time.monotonic() + SEARCH_S
    groups, unsearched, searched = [], [], 0
    for card in _one_of_each(cards):
        reason = _reason(card, deadline)
        # The summary may outlive the list: another process has it, or it went just now.
        flows = None if reason else kept.get(card.token)
        if flows is None:
            unsearched.append(Unsearched(card, reason or NOTHING_KEPT))
            continue
        searched += 1
        if found := by_words(flows, typed):
            groups.append(Group(card, found[:FLOWS_A_WORKSPACE], len(found)))
    return Results(_query(typed), groups, unsearched, searched)


def _reason(card: Card, deadline: float) -> Text | None:
    """Return why the workspace is not searched, or None if it can be."""
    if not card.is_shown:
        return card.state.label
    if card.summary is None:
        return NOTHING_KEPT
    return OUT_OF_TIME if time.monotonic() > deadline else None


def _one_of_each(cards: list[Card]) -> Iterator[Card]:
    """Return a card for each workspace: of several tokens the one with the newest list."""
    best: dict[tuple[str, UUID], Card] = {}
    for card in cards:
        other = best.get(card.workspace)
        if other is None or _fitness(card) > _fitness(other):
            best[card.workspace] = card
    return (card for card in cards if best[card.workspace] is card)


def _fitness(card: Card) -> tuple[float, bool]:
    return card.summary.fetched_at.timestamp() if card.summary else 0.0, card.is_shown


def _query(typed: str) -> str:
    query = QueryDict(mutable=True)
    query.update({"q": typed.strip(), "labels_too": "on"})
    return query.urlencode()


aoverview = sync_to_async(overview)
