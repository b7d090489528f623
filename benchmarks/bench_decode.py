"""What it costs to decode one page of 250 flows, and to seal and open a token: `python -m benchmarks.bench_decode`."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from benchmarks.rows import PAGE_ROWS, Flows
from benchmarks.upstream import Pages

_ROUNDS = 7
_ROUND_S = 0.1
_OWNER, _ORIGIN, _ROW = 7, "https://rapidpro.example", UUID("6f0c8a52-7d0e-4d5c-9a53-0c5d3a2b1f00")


def ours_page(body: bytes) -> list[Any]:
    """Return the typed flows of a page, as our client reads them."""
    from rapidpro_integration.client.credentials import Credential
    from rapidpro_integration.client.decoding import read_page
    from rapidpro_integration.client.resources import FLOWS
    from rapidpro_integration.client.transport import Answer

    answer = Answer(200, [(b"Content-Type", b"application/json")], body, 0, _ORIGIN)
    return read_page(answer, Credential("b" * 40), FLOWS.kind, FLOWS.position).rows


@dataclass
class Row:
    """What the vault reads of a saved token."""

    sealed: str
    key_id: str
    pk: UUID = _ROW
    owner_id: int = _OWNER
    server: str = _ORIGIN


def page_body() -> bytes:
    """Return the body of one page."""
    return Pages(Flows(PAGE_ROWS), _ORIGIN).get("").partition(b"\r\n\r\n")[2]


def seconds_each(call: Callable[[], object]) -> float:
    """Return what one call costs: the median of some rounds, each of many calls."""
    call()
    costs = []
    for _ in range(_ROUNDS):
        count, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < _ROUND_S:
            call()
            count += 1
        costs.append(spent / count)
    return statistics.median(costs)


def decoding() -> dict[str, float | None]:
    """Return the milliseconds that each way to decode a page takes; None for one that does not work here."""
    body = page_body()
    ways: dict[str, Callable[[], list[Any]]] = {"json.loads": lambda: json.loads(body)["results"]}
    try:
        import orjson

        ways["orjson"] = lambda: orjson.loads(body)["results"]
    except ImportError:
        pass
    try:
        import msgspec

        ways["msgspec, untyped"] = lambda: msgspec.json.decode(body)["results"]
    except ImportError:
        pass
    ways["ours, typed flows"] = lambda: ours_page(body)
    return {name: _milliseconds(way) for name, way in ways.items()}


def _milliseconds(way: Callable[[], list[Any]]) -> float | None:
    try:
        if len(way()) != PAGE_ROWS:
            return None
    except (ImportError, AttributeError, TypeError):
        return None
    return seconds_each(way) * 1000


def sealing() -> dict[str, float]:
    """Return the microseconds that the vault takes for one token."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from rapidpro_integration import vault

    secret = vault.Secret("b" * 40)
    sealed = vault.seal_token(secret, row_id=_ROW, owner_id=_OWNER, origin=_ORIGIN)
    row = Row(sealed.text, sealed.key_id)
    calls: dict[str, Callable[[], object]] = {
        "seal": lambda: vault.seal_token(secret, row_id=_ROW, owner_id=_OWNER, origin=_ORIGIN),
        "open": lambda: vault.open_token(row),
        "fingerprint": lambda: vault.ring().fingerprint(secret, owner_id=_OWNER, origin=_ORIGIN),
    }
    return {name: seconds_each(call) * 1_000_000 for name, call in calls.items()}


def main() -> None:
    """Measure, and print it for people or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {"page_bytes": len(page_body()), "decode_ms": decoding(), "vault_us": sealing()}
    if options.json:
        print(json.dumps(figures))
        return
    print(f"One page: {PAGE_ROWS} flows, {figures['page_bytes']:,} bytes")
    for name, cost_ms in figures["decode_ms"].items():
        print(f"  {name:<20} " + (f"{cost_ms:8.3f} ms" if cost_ms is not None else "not measured"))
    for name, cost_us in figures["vault_us"].items():
        print(f"  vault: {name:<13} {cost_us:8.1f} µs")


if __name__ == "__main__":
    main()
