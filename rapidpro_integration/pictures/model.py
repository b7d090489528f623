"""A flow as far as it is drawn, in safe types: every text is cleaned, every list has an end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

type Json = Mapping[str, Any]

MAX_NODES = 2_000
#: Actions and ways of a whole flow: more would be a page that no browser likes.
MAX_PARTS = 20_000
#: Of the whole definition as JSON; large real ones have half a million.
MAX_CHARACTERS = 5_000_000


class Reason(StrEnum):
    """Why a definition cannot be drawn."""

    MISSING = "missing"
    LEGACY = "legacy"
    EMPTY = "empty"
    TOO_LARGE = "too large"
    UNREADABLE = "unreadable"


class CannotDraw(Exception):
    """The definition is of a kind, a size or a shape that is not drawn; `reason` says which."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a node does. `body` is as it came: words.py takes from it what it knows, through `clean`."""

    uuid: str
    type: str
    body: Json


@dataclass(frozen=True, slots=True)
class Case:
    """A test of a switch router, and the category that it leads to."""

    uuid: str
    type: str
    arguments: tuple[str, ...]
    category: str


@dataclass(frozen=True, slots=True)
class Category:
    """A name for one or more outcomes of a router, and its exit."""

    uuid: str
    name: str
    exit: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A stop until something comes; `timeout_s` is None where it may take for ever."""

    type: str
    hint: str = ""
    timeout_s: float | None = None
    timeout_category: str = ""


@dataclass(frozen=True, slots=True)
class Router:
    """How a node chooses its exit."""

    type: str
    operand: str
    result: str
    wait: Wait | None
    cases: tuple[Case, ...]
    categories: tuple[Category, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A node: what it does, then how it goes on. `exits` are destinations by exit; "" leads nowhere."""

    uuid: str
    actions: tuple[Action, ...]
    router: Router | None
    exits: Mapping[str, str]
    position: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow's definition, its nodes in their order; the first one is where a contact begins."""

    uuid: str
    name: str
    language: str
    nodes: tuple[Node, ...]
    localization: Mapping[str, Json] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[str, ...]:
        """The base language, then the others that it is translated into, as codes."""
        return (self.language, *(language for language in self.localization if language != self.language))
