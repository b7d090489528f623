"""The processes beside the rotation: `fill`, `replace` and `verify` (see tests/security/rotation.py)."""

import hashlib
import json
import random
import sys
import time
import uuid
from pathlib import Path

import django

django.setup()


from allauth.mfa.models import Authenticator  # noqa: E402
from django.db import transaction  # noqa: E402

from accounts.models import User  # noqa: E402
from rapidpro_integration import canaries, services, vault  # noqa: E402
from rapidpro_integration.checking import CheckOutcome  # noqa: E402
from rapidpro_integration.client.types import Workspace  # noqa: E402
from rapidpro_integration.models import RapidProToken, TokenState  # noqa: E402
from rapidpro_integration.vault import LockedError, Secret  # noqa: E402

SERVER = "https://rapidpro.example"
WORKSPACE = Workspace(uuid.UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e"), name="Nutrition")
WORKING = CheckOutcome(TokenState.WORKING, 5, "0A1B2C3D", workspace=WORKSPACE)


def id_of(number: int) -> uuid.UUID:
    """Return the id of the row that holds token `number`: fixed, and in no order."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number))


def secret_of(number: int, generation: int) -> str:
    """Return what token `number` is after it was replaced `generation` times."""
    return hashlib.sha1(f"{number}:{generation}".encode()).hexdigest()


def tell(text: str) -> None:
    """Give the process that started this one a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fill(rows: int) -> None:
    """Save the tokens, and a second factor for each of their owners, with the key of the settings."""
    owners = [User.objects.create(username=f"owner{n}", email=f"owner{n}@example.org") for n in range(rows // 50)]
    tokens = []
    for number in range(rows):
        owner, row_id = owners[number % len(owners)], id_of(number)
        fields = services.sealed_fields(Secret(secret_of(number, 0)), row_id=row_id, owner_id=owner.pk, server=SERVER)
        tokens.append(RapidProToken(id=row_id, owner=owner, label=f"Token {number}", **fields))
    factors = [
        Authenticator(user=owner, type="totp", data={"secret": vault.seal_factor(Secret(secret_of(-1, number)))})
        for number, owner in enumerate(owners)
    ]
    with transaction.atomic(), canaries.sealing():
        RapidProToken.objects.bulk_create(tokens, batch_size=500)
        Authenticator.objects.bulk_create(factors, batch_size=500)


def replace(rows: int, journal: Path, stop: Path) -> None:
    """Replace and read tokens by chance until `stop` is there; write each replacement that was saved to `journal`."""
    chance, generations, read = random.Random(2), dict.fromkeys(range(rows), 0), 0
    tell("replacing")
    with journal.open("w") as lines:
        while not stop.exists():
            number = chance.randrange(rows)
            token = RapidProToken.objects.get(pk=id_of(number))
            assert vault.open_token(token).reveal() == secret_of(number, generations[number])
            read += 1
            # The rotation may seal the row anew right now; the person must not notice.
            services.replace_token(token, SERVER, Secret(secret_of(number, generations[number] + 1)), WORKING)
            generations[number] += 1
            lines.write(f"{number} {generations[number]}\n")
            lines.flush()
            time.sleep(0.0005)
    tell(json.dumps({"replaced": sum(generations.values()), "read": read}))


def verify(rows: int, journal: Path) -> None:
    """Open every row and print how many are wrong or lost."""
    generations = dict.fromkeys(range(rows), 0)
    for line in journal.read_text().splitlines():
        number, generation = map(int, line.split())
        generations[number] = generation
    tokens = {token.pk: token for token in RapidProToken.objects.all()}
    wrong = lost = 0
    for number, generation in generations.items():
        token = tokens.pop(id_of(number), None)
        if token is None:
            lost += 1
        else:
            wrong += not is_right(token, secret_of(number, generation))
    factors = {factor.user.username: factor for factor in Authenticator.objects.select_related("user")}
    for number in range(rows // 50):
        factor = factors.pop(f"owner{number}", None)
        lost += factor is None
        if factor is not None and not opens_to(factor.data["secret"], secret_of(-1, number)):
            wrong += 1
    # Rows that nobody has saved would be as wrong as lost ones.
    wrong += len(tokens) + len(factors)
    tell(json.dumps({"rows": rows, "factors": rows // 50, "wrong": wrong, "lost": lost}))


def is_right(token: RapidProToken, secret: str) -> bool:
    """Return whether the row opens to the secret, and has the fingerprint by which its owner finds it again."""
    found = services.find_token(token.owner_id, SERVER, Secret(secret))
    try:
        return vault.open_token(token).reveal() == secret and found == token and token.key_id == "k2"
    except LockedError:
        return False


def opens_to(sealed: str, secret: str) -> bool:
    """Return whether the second factor's text opens to the secret."""
    try:
        return vault.open_factor(sealed).reveal() == secret
    except LockedError:
        return False


if __name__ == "__main__":
    role, count, *paths = sys.argv[1:]
    {"fill": fill, "replace": replace, "verify": verify}[role](int(count), *map(Path, paths))
