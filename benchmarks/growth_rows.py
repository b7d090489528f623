"""Rows by the hundred thousand, written by PostgreSQL itself: people, sessions, tokens, and what hangs on them.

They are what many years would leave behind, as far as a planner can see: as many rows, as many different values. None
of these tokens opens, and nobody signs in with these sessions. The rows of the audit log are not signed.
"""

from typing import Any

_SERVER = "'https://s' || (n % 7) || '.example'"
_STATE = "(ARRAY['working','working','working','working','rejected','unreachable','disabled'])[1 + n % 7]"
_AGO = "now() - (n % 5000) * interval '2 hours'"
_UUID = "md5('{what}' || n)::uuid"


def _uuid(what: str) -> str:
    return _UUID.format(what=what)


STATEMENTS = (
    f"""INSERT INTO accounts_user (password, last_login, is_superuser, username, is_staff, is_active, date_joined, name,
            email, language, time_zone)
        SELECT '!', {_AGO}, false, 'grown' || n, n % 500 = 0, n % 50 <> 0, {_AGO}, 'Person ' || n,
            'grown' || n || '@example.org', '', 'UTC' FROM grown""",
    "UPDATE grown SET id = accounts_user.id FROM accounts_user WHERE username = 'grown' || n",
    """INSERT INTO account_emailaddress (email, verified, "primary", user_id)
        SELECT 'grown' || n || '@example.org', true, true, id FROM grown""",
    """INSERT INTO django_session (session_key, session_data, expire_date)
        SELECT 'grown' || n, repeat('x', 300), now() + (n % 300) * interval '1 hour' FROM grown""",
    f"""INSERT INTO accounts_signedinsession (id, user_agent, first_seen_on, last_seen_on, session_id, user_id)
        SELECT {_uuid("session")}, 'Firefox', {_AGO}, {_AGO}, 'grown' || n, id FROM grown""",
    """INSERT INTO mfa_authenticator (type, data, user_id, created_at)
        SELECT 'totp', '{}', id, now() FROM grown WHERE n % 3 = 0""",
    f"""INSERT INTO rapidpro_integration_rapidprotoken (id, label, server, sealed, key_id, fingerprint, last_four,
            state,
            workspace_uuid, workspace_name, workspace_country, workspace_languages, workspace_time_zone, created_on,
            changed_on, checked_on, last_used_on, check_duration_ms, check_status, check_reference, owner_id,
            broken_since, leased_until, next_check_on, rotate_on)
        SELECT {_uuid("token")}, 'Token ' || n, {_SERVER}, 'v1.k1.' || repeat('x', 100), 'k1',
            md5('a' || n) || md5('b' || n), right(md5('' || n), 4), {_STATE}, {_uuid("workspace")},
            'Workspace ' || n / 2, 'RW', '[]', 'UTC', {_AGO},
            {_AGO}, {_AGO}, {_AGO}, 200, 200, '', id,
            CASE WHEN n % 7 IN (4, 5) THEN {_AGO} END,
            CASE WHEN n % 1000 = 0 THEN now() + interval '1 minute' END,
            now() + (n % 1000) * interval '1 minute',
            CASE WHEN n % 20 = 0 THEN now() + (n % 300 - 3) * interval '1 day' END FROM grown""",
    f"""INSERT INTO rapidpro_integration_tokencheck (started_on, state, kind, http_status, duration_ms, reference,
            trigger,
            server, drift, token_id)
        SELECT now() - (n % 5000) * interval '2 hours' - k * interval '6 hours', {_STATE}, '', 200, 200, '', 'due',
            {_SERVER}, CASE WHEN n % 100 = 0 THEN '{{}}'::jsonb END, {_uuid("token")}
        FROM grown, generate_series(0, 2) AS k""",
    f"""INSERT INTO rapidpro_integration_workspacehour (server, workspace_uuid, token, hour, requests, rate_limited)
        SELECT {_SERVER}, {_uuid("workspace")}, {_uuid("token")},
            date_trunc('hour', now()) - (n % 800) * interval '1 hour', 1 + n % 40, 0 FROM grown""",
    """INSERT INTO rapidpro_integration_digestwish (wanted, person_id) SELECT true, id FROM grown WHERE n % 2 = 0""",
    f"""INSERT INTO rapidpro_integration_serverrequest (name, origin, reason, state, asked_on, answer, person_id)
        SELECT 'Ours', 'https://w' || n || '.example', 'Why not',
            CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'refused' END, {_AGO}, '', id FROM grown WHERE n % 10 = 0""",
    f"""INSERT INTO django_admin_log (action_time, object_id, object_repr, action_flag, change_message, content_type_id,
            user_id)
        SELECT {_AGO}, n, 'Token ' || n, 2, '[]', (SELECT min(id) FROM django_content_type), id
        FROM grown WHERE n % 5 = 0""",
    f"""INSERT INTO django_tasks_database_dbtaskresult (id, status, args_kwargs, priority, task_path, queue_name,
            backend_name, run_after, enqueued_at, finished_at, started_at, exception_class_path, traceback, worker_ids)
        SELECT {_uuid("task")}, CASE WHEN n % 100 = 0 THEN 'FAILED' ELSE 'SUCCESSFUL' END,
            '{{"args": [], "kwargs": {{}}}}', 0, 'rapidpro_integration.health.tasks.check', 'default', 'default',
            {_AGO}, {_AGO}, {_AGO}, {_AGO}, '', '', '[]'
        FROM grown WHERE n % 10 = 0""",
    # Entries are added one by one, each moving the head of the log on: as a replica no trigger asks for that.
    "SET session_replication_role = replica",
    f"""INSERT INTO accounts_auditentry (number, "when", action, outcome, actor_id, actor_name, owner_id, owner_name,
            token_id, token_label, address, agent, reference, count, details, key_id, previous, mac)
        SELECT (SELECT max(number) FROM accounts_audithead) + row_number() OVER (ORDER BY n),
            now() - (200000 - n) * interval '1 minute', 'token_opened', 'done', id, 'grown', id, 'grown',
            {_uuid("token")}, 'Token ' || n, '192.0.2.7', 'Firefox', '',
            1, '{{}}', '', '', '' FROM grown ORDER BY n""",
    "UPDATE accounts_audithead SET number = (SELECT max(number) FROM accounts_auditentry)",
    "RESET session_replication_role",
)
#: Their sizes follow the number of people, or the years.
LARGE = frozenset(
    {
        "accounts_user",
        "account_emailaddress",
        "django_session",
        "accounts_signedinsession",
        "mfa_authenticator",
        "rapidpro_integration_rapidprotoken",
        "rapidpro_integration_tokencheck",
        "rapidpro_integration_workspacehour",
        "rapidpro_integration_digestwish",
        "rapidpro_integration_serverrequest",
        "django_admin_log",
        "django_tasks_database_dbtaskresult",
        "accounts_auditentry",
    }
)


def grow(cursor: Any, people: int) -> None:
    """Write the rows of so many people, and let the planner learn of them."""
    numbers = "SELECT n, NULL::bigint AS id FROM generate_series(1, %s) AS n"
    cursor.execute(f"CREATE TEMPORARY TABLE grown AS {numbers}", [people])
    cursor.execute("ANALYZE grown")
    for statement in STATEMENTS:
        cursor.execute(statement)
    cursor.execute("DROP TABLE grown")
    cursor.execute("ANALYZE")
