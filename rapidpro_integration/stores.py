"""Reads of the rows that hold something sealed: tokens, and the second factors of allauth's MFA."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Q, QuerySet

from rapidpro_integration import vault
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.vault import LockedError, LockReason

_TRIED_ROWS = 50


class Tokens:
    """The saved tokens. A row needs the key that its column names and the one that its text names."""

    name = "token"
    model = RapidProToken

    def _all(self) -> QuerySet[RapidProToken]:
        return RapidProToken.objects.order_by("pk").only("owner_id", "server", "sealed", "key_id")

    def count_by_key(self) -> Counter[str]:
        """Return how many tokens need each key."""
        columns = RapidProToken.objects.order_by().values_list("key_id", flat=True).distinct()
        return Counter({key_id: self.count_needing(key_id) for key_id in {*vault.ring().key_ids, *columns}})

    def count_needing(self, key_id: str) -> int:
        """Return how many tokens need this key: a column that another hand has changed must not hide it."""
        return RapidProToken.objects.filter(Q(key_id=key_id) | _text_names(key_id)).count()

    def rows(self, after: Any = None) -> Iterator[RapidProToken]:
        """Yield all tokens, still sealed."""
        return self._after(self._all(), after).iterator(chunk_size=500)

    def rows_under(self, key_id: str) -> Iterator[RapidProToken]:
        """Yield the tokens that are sealed with this key by column and by text."""
        return self._all().filter(Q(key_id=key_id) & _text_names(key_id)).iterator(chunk_size=500)

    def rows_to_move(self, key_id: str, after: Any, limit: int) -> list[RapidProToken]:
        """Return the first tokens whose column or text names another key."""
        return list(self._after(self._all().exclude(Q(key_id=key_id) & _text_names(key_id)), after)[:limit])

    def lock_reason(self, row: Any) -> LockReason | None:
        """Return why the token does not open, or None when it does."""
        return vault.lock_reason(row)

    def _after(self, rows: QuerySet[RapidProToken], after: Any) -> QuerySet[RapidProToken]:
        return rows if after is None else rows.filter(pk__gt=after)


class SecondFactors:
    """The authenticators of allauth whose data holds a secret: authenticator apps and recovery codes.

    Their keys stand in the texts alone, inside JSON, so they are read and not counted by the database.
    """

    name = "second factor"
    model = Authenticator

    def rows(self, after: Any = None) -> Iterator[Authenticator]:
        """Yield all authenticators that hold a secret."""
        rows = Authenticator.objects.order_by("pk").exclude(type=Authenticator.Type.WEBAUTHN)
        yield from (rows if after is None else rows.filter(pk__gt=after)).iterator(chunk_size=500)

    def count_by_key(self) -> Counter[str]:
        """Return how many authenticators need each key."""
        return Counter(key_id for row in self.rows() for key_id in key_ids_of(row.data))

    def count_needing(self, key_id: str) -> int:
        """Return how many authenticators need this key."""
        return sum(1 for _ in self.rows_under(key_id))

    def rows_under(self, key_id: str) -> Iterator[Authenticator]:
        """Yield the authenticators that need this key."""
        return (row for row in self.rows() if key_id in key_ids_of(row.data))

    def rows_to_move(self, key_id: str, after: Any, limit: int) -> list[Authenticator]:
        """Return the first authenticators with a text that names another key."""
        return list(islice((row for row in self.rows(after) if key_ids_of(row.data) != {key_id}), limit))

    def lock_reason(self, row: Any) -> LockReason | None:
        """Return why a text of the authenticator does not open, or None when all do."""
        try:
            opened(row.data)
        except LockedError as error:
            return error.reason
        return None


def resealed(data: dict[str, Any]) -> dict[str, Any]:
    """Return an authenticator's data with every secret sealed anew with the first key. Raises LockedError."""
    return _mapped(data, lambda text: vault.seal_factor(vault.open_factor(text)))


def opened(data: dict[str, Any]) -> dict[str, Any]:
    """Return an authenticator's data with every secret opened, to be compared. Raises LockedError."""
    return _mapped(data, vault.open_factor)


def _mapped(data: dict[str, Any], change: Callable[[str], Any]) -> dict[str, Any]:
    """Return the data with each sealed text, where allauth puts one, as `change` makes it."""
    new = data | {field: change(str(data[field])) for field in ("secret", "seed") if field in data}
    if "migrated_codes" in data:
        new["migrated_codes"] = [change(str(text)) for text in data["migrated_codes"]]
    return new


def key_ids_of(data: dict[str, Any]) -> set[str]:
    """Return the ids of the keys that an authenticator's data needs."""
    found: set[str] = set()
    _mapped(data, lambda text: found.add(vault.key_id_of(text)))
    return found


def _text_names(key_id: str) -> Q:
    return Q(sealed__startswith=f"v1.{key_id}.")


type Store = Tokens | SecondFactors
"""One kind of rows; all lists are by primary key, and `after` is the last one that was seen."""

TOKENS, SECOND_FACTORS = Tokens(), SecondFactors()
STORES: tuple[Store, ...] = (TOKENS, SECOND_FACTORS)


def count_by_key() -> Counter[str]:
    """Return how many rows of all kinds need each key; rows that name none are left out."""
    found = sum((store.count_by_key() for store in STORES), Counter[str]())
    del found[""]
    return found


def opens_what_it_sealed(key_id: str) -> bool:
    """Return whether the site's key opens one of the rows that name it, or no row does: one open row is proof."""
    named = False
    for store in STORES:
        for row in islice(store.rows_under(key_id), _TRIED_ROWS):
            named = True
            if store.lock_reason(row) is None:
                return True
    return not named
