"""A process in which people open a list of flows: `python -m tests.rapidpro_integration.openers_of_lists make ORIGIN`.

`make` saves the token and prints its id; `open ORIGIN ID` opens its list PEOPLE times at once, and prints each.
"""

import asyncio
import sys
from uuid import UUID

import django

PEOPLE = 7


def make(origin: str) -> str:
    """Save a token, and return its id."""
    from accounts.models import User
    from rapidpro_integration import services
    from rapidpro_integration.checking import CheckOutcome
    from rapidpro_integration.models import TokenState
    from rapidpro_integration.vault import Secret
    from tests.conftest import SECRET

    person = User.objects.create_user("owner", "owner@example.org")
    outcome = CheckOutcome(TokenState.UNCHECKED, 1, "0A1B2C3D")
    return str(services.add_token(person.pk, "Clinics", origin, Secret(SECRET), outcome).pk)


async def open_at_once(token_id: str) -> str:
    """Return what each person sees: the number of flows and when they came."""
    from accounts.models import User
    from rapidpro_integration import flow_lists, selectors

    owner_id = (await User.objects.aget()).pk
    tokens = [await selectors.aget_token_or_404(owner_id, UUID(token_id)) for _ in range(PEOPLE)]
    lists = [listing.flows for listing in await asyncio.gather(*map(flow_lists.alisting, tokens))]
    return " ".join(f"{len(flows.rows)}@{flows.fetched_at.isoformat()}" for flows in lists)


if __name__ == "__main__":
    django.setup()
    from django.conf import settings

    command, origin, *rest = sys.argv[1:]
    settings.SANDBOX_ORIGIN, settings.RAPIDPRO_SERVERS = origin, [origin]
    sys.stdout.write(make(origin) if command == "make" else asyncio.run(open_at_once(rest[0])))
