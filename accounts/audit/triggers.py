"""The database's own guard of the audit log, for who goes around the ORM.

An entry is added behind the newest one, never changed, and deleted only where a tombstone says so; the head moves on
by one and never back. Who may drop triggers can get past them: the chain shows that.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.audit import chain

ENTRY, HEAD = "accounts_auditentry", "accounts_audithead"

# Trigger: (table, event, condition under which it refuses, what it says).
_RULES = {
    "accounts_audit_no_update": (ENTRY, "UPDATE", "TRUE", "an audit entry is never changed"),
    "accounts_audit_no_delete": (
        ENTRY,
        "DELETE",
        "OLD.number > COALESCE("
        "(SELECT MAX(pruned_through) FROM accounts_auditentry WHERE pruned_through IS NOT NULL), 0)",
        "an audit entry is deleted only by audit prune",
    ),
    # Refuses SQLite's INSERT OR REPLACE too, which would overwrite a row without any other trigger.
    "accounts_audit_at_end": (
        ENTRY,
        "INSERT",
        "NEW.number <> COALESCE((SELECT MAX(number) FROM accounts_audithead), 0) + 1",
        "an audit entry is added only at the end",
    ),
    "accounts_audit_head_one": (
        HEAD,
        "INSERT",
        "EXISTS (SELECT 1 FROM accounts_audithead)",
        "the audit log has one head",
    ),
    "accounts_audit_head_on": (
        HEAD,
        "UPDATE",
        "NEW.number <> OLD.number + 1 OR NEW.id <> OLD.id",
        "the head of the audit log moves on by one",
    ),
    "accounts_audit_head_kept": (HEAD, "DELETE", "TRUE", "the head of the audit log is never deleted"),
}
_TRUNCATE = {ENTRY: "accounts_audit_no_truncate", HEAD: "accounts_audit_head_no_truncate"}


def make_head(connection: BaseDatabaseWrapper) -> None:
    """Add the head of an empty log, signed from the first moment on."""
    key = chain.signing_key()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {HEAD} (id, number, mac, key_id, seal) VALUES (1, 0, %s, %s, %s)",  # noqa: S608
            [chain.GENESIS, key.id, key.sign_head(0, chain.GENESIS)],
        )


def _sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, '{words}'); END"
        for name, (table, event, condition, words) in _RULES.items()
    ]


def _postgresql() -> list[str]:
    statements = []
    for name, (table, event, condition, words) in _RULES.items():
        row = "OLD" if event == "DELETE" else "NEW"
        statements += [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
            f"RAISE EXCEPTION '{words}' USING ERRCODE = 'restrict_violation'; END IF; RETURN {row}; END $$",
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        ]
    for table, name in _TRUNCATE.items():
        statements += [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'the audit log is never emptied' USING ERRCODE = 'restrict_violation'; END $$",
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        ]
    return statements


def _tables(vendor: str) -> dict[str, str]:
    tables = {name: table for name, (table, *_) in _RULES.items()}
    return tables | {name: table for table, name in _TRUNCATE.items()} if vendor == "postgresql" else tables


def create(connection: BaseDatabaseWrapper) -> None:
    """Make every trigger. Raises NotImplementedError on a database that has none of ours."""
    writers = {"sqlite": _sqlite, "postgresql": _postgresql}
    if connection.vendor not in writers:
        raise NotImplementedError(f"The audit log has no triggers for {connection.vendor}.")
    with connection.cursor() as cursor:
        for statement in writers[connection.vendor]():
            cursor.execute(statement)


def drop(connection: BaseDatabaseWrapper) -> None:
    """Remove every trigger, for a migration back."""
    with connection.cursor() as cursor:
        for name, table in _tables(connection.vendor).items():
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
                cursor.execute(f"DROP FUNCTION IF EXISTS {name}()")
            else:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the triggers that are not there, or are switched off."""
    catalogue = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')",
    }
    with connection.cursor() as cursor:
        cursor.execute(catalogue[connection.vendor])
        there = {name for (name,) in cursor.fetchall()}
    return sorted(_tables(connection.vendor).keys() - there)
