"""What we promise about a token, and the tests that hold it; docs/security.md names the same."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, held by tests or by a program that counts for itself (an argument `{rows}` is filled in)."""

    words: str
    tests: tuple[str, ...] = ()
    program: tuple[str, ...] = ()


def _rapidpro(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/rapidpro_integration/{name}.py" for name in names)


def _accounts(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/accounts/{name}.py" for name in names)


def _security(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/security/{name}.py" for name in names)


PROMISES = (
    Promise("A sealed token opens for its row, owner and server only", _rapidpro("test_vault")),
    Promise(
        "No flipped, cut, spliced or moved text opens, and none breaks a page (17,340 single bytes, Hypothesis)",
        _security("test_sealed_tokens"),
    ),
    Promise(
        "Keys change while the site runs, under kill -9 and replacements",
        program=("tests.security.rotation", "--rows", "{rows}"),
    ),
    Promise(
        "A wrong or retired key starts nothing and seals nothing",
        (
            *_rapidpro("test_canaries", "test_rotation", "test_tokens_command", "test_keys"),
            "tests/config/test_start.py",
        ),
    ),
    Promise("Secrets of second factors are sealed", _rapidpro("test_mfa")),
    Promise(
        "One text is one origin, and no address in disguise is one",
        _rapidpro("client/test_origins", "client/test_addresses"),
    ),
    Promise(
        "A token goes to its own server and nowhere else",
        _rapidpro("client/test_resolving", "test_servers", "test_server_views"),
    ),
    Promise("A token never leaves: the marker is found 0 times", _rapidpro("test_leaks")),
    Promise(
        "No handler of the log prints a secret", ("tests/config/test_redaction.py", "tests/config/test_reporting.py")
    ),
    Promise("Every address answers as declared, and nobody's row is told from another's", _security("test_matrix")),
    Promise("Every answer has every security header", _security("test_headers")),
    Promise("The admin tells no secret and opens no account without a fresh proof", _security("test_admin")),
    Promise(
        "A stolen password alone, an old session or a lapsed proof opens nothing",
        _accounts("test_mfa", "test_reauthentication", "test_sessions"),
    ),
    Promise("Guessing is dear and counted", _accounts("test_hashers", "test_limits", "test_addresses")),
    Promise("The audit log is not rewritten quietly", ("tests/accounts/audit",)),
    Promise("docs/security.md names only tests that exist", _security("test_docs")),
    Promise("A token never leaves, whatever fails: a marker is found 0 times", _security("test_marker")),
    Promise("What attackers try first is refused", _security("test_attacks")),
    Promise("A hostile network gets 0 requests and 0 tokens", _security("test_hostile_network")),
    Promise("Two tenants' tokens never meet", _security("test_tenants")),
    Promise("300 saves at once are saved or refused cleanly", _security("test_saves")),
    Promise("Each promise that others break, side by side", _security("test_compared")),
)
