"""What a flow says and asks, step by step: short to write by hand, and enough to make its definition.

A text is a tuple with one wording a language, in the order of the script's languages; the first is the base.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

type Text = tuple[str, ...]


def stable_uuid(*parts: object) -> str:
    """Return a UUID that follows from the parts, so that it is the same at each start."""
    digest = hashlib.sha1("/".join(str(part) for part in parts).encode(), usedforsecurity=False).digest()
    return str(UUID(bytes=digest[:16], version=4))


def result_key(name: str) -> str:
    """Return the key under which a result of this name is kept."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that is recognised: the category, the test of the answer, and what is said back, if anything."""

    category: Text
    test: str
    arguments: tuple[str, ...] = ()
    reply: Text = ()


@dataclass(frozen=True, slots=True)
class Say:
    """A message (or, in a voice flow, a spoken sentence)."""

    text: Text


@dataclass(frozen=True, slots=True)
class Ask:
    """A question whose answer is kept as a result; what no choice recognises falls into `other`."""

    result: str
    question: Text
    choices: tuple[Choice, ...]
    other: Text = ("Other",)

    @property
    def categories(self) -> list[Text]:
        """Return the categories in order, `other` last."""
        return [*(choice.category for choice in self.choices), self.other]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A call to another system; the answer is kept as a result of Success or Failure."""

    result: str
    method: str
    url: str

    @property
    def categories(self) -> list[Text]:
        """Return the two categories."""
        return [("Success",), ("Failure",)]


@dataclass(frozen=True, slots=True)
class Call:
    """Another flow of the workspace, run in the middle of this one."""

    flow_uuid: str
    flow_name: str


@dataclass(frozen=True, slots=True)
class Join:
    """The contact joins a group."""

    group: str


@dataclass(frozen=True, slots=True)
class Keep:
    """A field of the contact is set."""

    field: str
    value: str


type Step = Say | Ask | Fetch | Call | Join | Keep


@dataclass(frozen=True)
class Script:
    """A flow as it was written: enough for its row's results and for its definition."""

    flow_uuid: str
    name: str
    type: str | None
    languages: tuple[str, ...]
    steps: Sequence[Step]
    revision: int = 1
    expires: int = 10080
    workspace: str = ""

    def node_uuid(self, index: int, part: object = "") -> str:
        """Return the UUID of the node of a step, or of a part of it."""
        return stable_uuid(self.flow_uuid, index, part)

    def results(self) -> list[dict[str, Any]]:
        """Return the results as flows.json lists them."""
        return [
            {
                "key": result_key(step.result),
                "name": step.result,
                "categories": [category[0] for category in step.categories],
                "node_uuids": [self.node_uuid(index, "wait" if isinstance(step, Ask) else "")],
            }
            for index, step in enumerate(self.steps)
            if isinstance(step, Ask | Fetch)
        ]
