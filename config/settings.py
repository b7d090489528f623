"""Settings of the site, in sections; every value comes from the environment or the `.env` file.

`.env.example` documents each name. Nothing here knows RapidPro.
"""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
if env_file := env.str("ENV_FILE", default=str(BASE_DIR / ".env")):
    env.read_env(env_file)

# --- The site ---------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("SECRET_KEY is missing or shorter than 50 characters; see .env.example.")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
_LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=_LOOPBACK if DEBUG else [])
if DEBUG and any(host not in _LOOPBACK and not host.endswith(".localhost") for host in ALLOWED_HOSTS):
    raise ImproperlyConfigured(
        "DEBUG=true shows details of errors to everybody, so it is for this computer alone: with DEBUG, ALLOWED_HOSTS "
        "may name 127.0.0.1, localhost and [::1] only. Set DEBUG=false on a public site."
    )
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_NAME = env.str("SITE_NAME", default="RapidPro Console")
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# How many processes `manage.py web` serves with; what each of them may hold is multiplied by it.
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=1)
if WEB_CONCURRENCY < 1:
    raise ImproperlyConfigured("WEB_CONCURRENCY is at least 1.")
# Whether a host sends its whole domain to https, and browsers learn so before the first visit, is for the domain's
# owner to decide: HSTS_SUBDOMAINS, HSTS_PRELOAD.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# --- Applications -----------------------------------------------------------------------------

INSTALLED_APPS = [
    "servestatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "accounts",
    # Before django_tasks_db, so that its `db_worker` is the one with a heartbeat.
    "rapidpro_integration",
    "django_tasks_db",
]

# Under ASGI Django's own run in the event loop, without a thread for each: config/in_loop.py.
MIDDLEWARE = [
    "config.middleware.request_id",
    # What any other answers, and Django for it, gets the headers.
    "config.middleware.security_headers",
    # No session, no Host, no redirect to https for those who look after the machine.
    "config.middleware.probes",
    "config.middleware.measured",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.preferences",
    "accounts.middleware.sessions_seen",
    "accounts.audit.context.remember_request",
    "config.signing_in.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.second_factor_of_staff",
    "accounts.middleware.exceptions_answered",
    "config.middleware.plain_not_found",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.debug",
                "django.template.context_processors.i18n",
                "django.template.context_processors.tz",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context_processors.site",
            ],
            "builtins": ["config.template_library"],
        },
    },
]

# --- Database, cache, sessions ----------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets readers go on while one writes; IMMEDIATE makes two writers queue instead of fail.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # Under ASGI each request has a thread of its own, so that without a pool each would open a connection of its own.
    # Whoever finds none free waits for one, and gets a 503 with a time to come back after `timeout` seconds.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        # A server whose machine or network is gone says nothing: it is found out in seconds and not in hours.
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        # So does the server with us: what a machine of ours that died had locked is free again within a minute. No
        # transaction of the site waits for anybody.
        "options": "-c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=30 "
        "-c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {
            "min_size": 0,
            "max_size": env.int("DATABASE_POOL_SIZE", default=20),
            "timeout": 5,
            "max_idle": 300,
            # How long one attempt to connect is repeated, after ever longer waits. The next request begins another
            # one: with psycopg's 300 a database that was away for a minute would be missed for another one.
            "reconnect_timeout": 1,
        },
    }
# How long one statement of a process that serves may take, and half of it how long it may wait for a lock; 0 for ever.
# PostgreSQL only. Commands and workers are not bounded: a migration takes what it takes.
DATABASE_STATEMENT_TIMEOUT_S = env.int("DATABASE_STATEMENT_TIMEOUT_S", default=20)
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://console")}
if CACHES["default"]["BACKEND"] == "django.core.cache.backends.redis.RedisCache":
    CACHES["default"]["BACKEND"] = "config.cache.FallbackRedisCache"
elif CACHES["default"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache":
    # With Django's 300 somebody could push the count of their own tries out by trying many names.
    CACHES["default"].setdefault("OPTIONS", {}).setdefault("MAX_ENTRIES", 50_000)
# Django's own in the database, read together with the person in one query.
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

# --- Background work --------------------------------------------------------------------------

# The dotted path of a backend of django.tasks, and the applications that it needs. Another one than the database's
# brings workers of its own.
TASKS_BACKEND = env.str("TASKS_BACKEND", default="django_tasks_db.DatabaseBackend")
TASKS: dict[str, Any] = {
    "default": {
        "BACKEND": TASKS_BACKEND,
        "QUEUES": env.list("TASKS_QUEUES", default=["default"]),
        "OPTIONS": env.json("TASKS_OPTIONS", default={}),
    }
}
INSTALLED_APPS += env.list("TASKS_APPS", default=[])
# Where django-tasks-rq keeps its queues.
if tasks_redis := env.str("TASKS_REDIS_URL", default=""):
    RQ_QUEUES = {queue: {"URL": tasks_redis} for queue in TASKS["default"]["QUEUES"]}

# --- Accounts ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.SignInBackend"]
# New digests are made by the first; old ones of the second are replaced at the next sign-in.
PASSWORD_HASHERS = ["accounts.hashers.Argon2Hasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
# Each takes 19 MiB. Per process: how many at once, how many more wait, and for how many seconds; the rest get a 503.
PASSWORD_HASHES_AT_ONCE = env.int("PASSWORD_HASHES_AT_ONCE", default=2)
PASSWORD_HASHES_WAITING = env.int("PASSWORD_HASHES_WAITING", default=16)
PASSWORD_HASH_WAIT_S = env.float("PASSWORD_HASH_WAIT_S", default=3.0)
if PASSWORD_HASHES_AT_ONCE < 1 or PASSWORD_HASHES_WAITING < 0:
    raise ImproperlyConfigured("PASSWORD_HASHES_AT_ONCE is at least 1 and PASSWORD_HASHES_WAITING at least 0.")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "accounts.validators.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
SIGNUP_OPEN = env.bool("SIGNUP_OPEN", default=True)
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = env.str("EMAIL_VERIFICATION", default="optional" if DEBUG else "mandatory")
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_USERNAME_BLACKLIST = ["admin", "root", "staff", "system"]
# How many proxies of ours stand before the site, each adding to X-Forwarded-For; 0: the header is not believed.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
# Tries for each address (ip), each account (user) and each name that is typed (key): the first full one refuses.
ACCOUNT_RATE_LIMITS = {
    "login": env.str("RATE_LIMIT_SIGN_IN", default="30/m/ip"),
    "login_failed": "10/m/ip,5/5m/key",
    "signup": "10/m/ip,50/d/ip",
    "reset_password": "20/m/ip,5/h/key",
    "reset_password_from_key": "20/m/ip",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    "reauthenticate": "10/m/user",
}
# Each check, each new token and each list is a request to somebody's server.
RATE_LIMITS = {
    "token_check": env.str("RATE_LIMIT_TOKEN_CHECK", default="30/m/user,120/m/ip"),
    "token_add": env.str("RATE_LIMIT_TOKEN_ADD", default="20/m/user,60/m/ip"),
    # A long list is a dozen requests, out of the hourly budget of a workspace.
    "flows_refresh": env.str("RATE_LIMIT_FLOWS_REFRESH", default="20/m/user,60/m/ip"),
}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = int(timedelta(minutes=5).total_seconds())
DEVICE_COOKIE_NAME = "device"
# A second factor: an app, a security key or passkey, and codes for the day that both are lost.
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
# A passkey that has verified its owner (by finger, face or PIN) is both factors at once: it signs in alone.
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {
    "add_webauthn": "accounts.mfa.AddKeyForm",
    "activate_totp": "accounts.mfa.ActivateAppForm",
    "authenticate": "accounts.mfa.SecondStepForm",
    "reauthenticate": "accounts.mfa.ProofByCodeForm",
}
# The code before this one and the one after count too: networks are slow and clocks are not all right.
MFA_TOTP_TOLERANCE = 1
MFA_TOTP_ISSUER = SITE_NAME
STAFF_MFA_REQUIRED = env.bool("STAFF_MFA_REQUIRED", default=True)
if not (STAFF_MFA_REQUIRED or DEBUG):
    raise ImproperlyConfigured("STAFF_MFA_REQUIRED=false is for the local demo: it needs DEBUG=true.")
# Browsers offer security keys on https and on http://localhost, where only the demo is.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG

# --- The audit log (read by accounts.audit) ----------------------------------------------------

# Signs the entries. Without one of its own the log is signed by a key derived from SECRET_KEY.
AUDIT_KEY = env.str("AUDIT_KEY", default="")
AUDIT_KEY_FALLBACKS = env.list("AUDIT_KEY_FALLBACKS", default=[])
if any(len(key) < 32 for key in [AUDIT_KEY, *AUDIT_KEY_FALLBACKS] if key):
    raise ImproperlyConfigured("AUDIT_KEY or one of AUDIT_KEY_FALLBACKS is shorter than 32 characters.")

# --- The vault (read by rapidpro_integration.vault) --------------------------------------------

TOKEN_KEYS = env.str("TOKEN_KEYS", default="")
TOKEN_KEYS_FILE = env.str("TOKEN_KEYS_FILE", default="")
TOKEN_KEYS_PROVIDER = env.str("TOKEN_KEYS_PROVIDER", default="")
# allauth hands each second factor's secret to this class before it is stored.
MFA_ADAPTER = "rapidpro_integration.mfa.MFAAdapter"

# --- RapidPro servers that a token may be sent to ----------------------------------------------

RAPIDPRO_SERVERS = env.list("RAPIDPRO_SERVERS", default=["https://app.rapidpro.io", "https://textit.com"])
# Those of them whose names may lead to private networks; the row of the server in the admin must say so too.
RAPIDPRO_PRIVATE_ORIGINS = env.list("RAPIDPRO_PRIVATE_ORIGINS", default=[])
RAPIDPRO_ANY_PUBLIC_SERVER = env.bool("RAPIDPRO_ANY_PUBLIC_SERVER", default=False)
# The small RapidPro of our own that `make run` starts: allowed in the local demo only.
SANDBOX_ORIGIN = env.str("SANDBOX_ORIGIN", default="") if DEBUG else ""
if SANDBOX_ORIGIN and SANDBOX_ORIGIN not in RAPIDPRO_SERVERS:
    RAPIDPRO_SERVERS.append(SANDBOX_ORIGIN)

# --- Health of tokens (read by rapidpro_integration.health) --------------------------------------

# How often a working token is checked, how soon one that failed is asked again (then after twice as long each time),
# how many of one server's tokens at once, and how long a server must be out of reach before its tokens' owners hear.
TOKEN_CHECK_EVERY_S = env.int("TOKEN_CHECK_EVERY_S", default=6 * 3600)
TOKEN_CHECK_RETRY_S = env.int("TOKEN_CHECK_RETRY_S", default=300)
TOKEN_CHECKS_AT_ONCE = env.int("TOKEN_CHECKS_AT_ONCE", default=4)
TOKEN_UNREACHABLE_TOLD_S = env.int("TOKEN_UNREACHABLE_TOLD_S", default=24 * 3600)
if min(TOKEN_CHECK_EVERY_S, TOKEN_CHECK_RETRY_S) < 60 or TOKEN_CHECKS_AT_ONCE < 1 or TOKEN_UNREACHABLE_TOLD_S < 0:
    raise ImproperlyConfigured(
        "TOKEN_CHECK_EVERY_S and TOKEN_CHECK_RETRY_S are at least 60, and TOKEN_CHECKS_AT_ONCE at least 1."
    )

# --- Kept lists of flows (read by rapidpro_integration.kept) ------------------------------------

# How long a list is shown without asking the server again, and how long the last one is kept for the day it is down.
FLOWS_FRESH_S = env.int("FLOWS_FRESH_S", default=300)
FLOWS_KEPT_S = env.int("FLOWS_KEPT_S", default=86_400)
if not 0 < FLOWS_FRESH_S <= FLOWS_KEPT_S:
    raise ImproperlyConfigured("FLOWS_FRESH_S is more than 0 and at most FLOWS_KEPT_S.")

# --- Hourly rows (read by rapidpro_integration.observations) -------------------------------------

# How often each process writes what it counted of its requests to RapidPro, and for how many days rows are kept.
OBSERVATIONS_EVERY_S = env.float("OBSERVATIONS_EVERY_S", default=15.0)
SERVER_HOURS_KEPT_DAYS = env.int("SERVER_HOURS_KEPT_DAYS", default=400)
WORKSPACE_HOURS_KEPT_DAYS = env.int("WORKSPACE_HOURS_KEPT_DAYS", default=35)
if OBSERVATIONS_EVERY_S < 1 or SERVER_HOURS_KEPT_DAYS < 1 or WORKSPACE_HOURS_KEPT_DAYS < 1:
    raise ImproperlyConfigured("OBSERVATIONS_EVERY_S and the days that hourly rows are kept are at least 1.")

# --- Mail -------------------------------------------------------------------------------------

_mail = env.email_url("EMAIL_URL", default="consolemail://")
_smtp_options = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
}
MAILERS = {
    "default": {
        "BACKEND": _mail["EMAIL_BACKEND"],
        "OPTIONS": (
            {option: _mail[name] for option, name in _smtp_options.items() if _mail.get(name)} | {"timeout": 10}
            if _mail["EMAIL_BACKEND"].endswith("smtp.EmailBackend")
            else {}
        ),
    },
}
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="RapidPro Console <console@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- Languages and times ----------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("fr", _("French")),
    ("es", _("Spanish")),
    ("pt", _("Portuguese")),
    ("ar", _("Arabic")),
]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- Static files -----------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
SERVESTATIC_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "servestatic.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Security ---------------------------------------------------------------------------------

SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "manifest-src": [CSP.SELF],
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
if env.bool("HTTPS", default=not DEBUG):
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    # Browsers take cookies of these names from this host alone, over https alone, for the whole of it.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    DEVICE_COOKIE_NAME = "__Host-device"
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^(healthz|livez|readyz|metrics)$"]
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_SUBDOMAINS", default=False)
    SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
    if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# A form here has a dozen short fields. A longer body is not read to its end, and more fields are a 400.
REQUEST_BODY_MAX_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
CSRF_FAILURE_VIEW = "config.views.csrf_failure"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.reporting.NoValuesReporterFilter"

# --- What machines ask -------------------------------------------------------------------------

# Who may read /metrics: whoever has the key, as a bearer, or comes from one of these addresses or networks.
METRICS_KEY = env.str("METRICS_KEY", default="")
try:
    METRICS_ADDRESSES = [ip_network(text) for text in env.list("METRICS_ADDRESSES", default=[])]
except ValueError as error:
    raise ImproperlyConfigured(f"METRICS_ADDRESSES: {error}") from None
if METRICS_KEY and len(METRICS_KEY) < 32:
    raise ImproperlyConfigured("METRICS_KEY is shorter than 32 characters.")
# Whether /readyz fails while no worker shows a sign of life.
READY_NEEDS_WORKER = env.bool("READY_NEEDS_WORKER", default=False)
# For how many seconds after SIGTERM requests are still taken, while /readyz says already that there should be no more.
STOP_DELAY_S = env.float("STOP_DELAY_S", default=0.0)

# Where faults are told, if anywhere; needs sentry-sdk.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="production")

# --- Logging ----------------------------------------------------------------------------------

LOG_FORMAT = env.str("LOG_FORMAT", default="text")
if LOG_FORMAT not in {"text", "json"}:
    raise ImproperlyConfigured("LOG_FORMAT is text or json.")
_handlers = ["console"]
# In this order: the redacting filter hands on a copy that holds nothing but what it knows.
_filters = ["redacting", "request_id"]
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redacting": {"()": "config.redaction.RedactingFilter"},
        "request_id": {"()": "config.request_ids.RequestIdFilter"},
    },
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": ["levelname", "name", "request_id", "message"],
            "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "traceback", "stack_info": "stack"},
            "timestamp": "time",
            "json_ensure_ascii": False,
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": _filters},
    },
    "loggers": {
        # Each logs addresses, headers or whole events below WARNING: nobody needs them, and they can carry anything.
        **{
            name: {"level": "WARNING"}
            for name in ("httpx", "httpcore", "aiohttp", "asyncio", "stamina", "urllib3", "hpack", "django.db.backends")
        },
        # Django's and uvicorn's own handlers would print past the filter: theirs are taken away, ours print.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": _handlers, "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": _handlers, "propagate": False},
        "uvicorn.error": {"handlers": []},
        "uvicorn.access": {"handlers": [], "propagate": True},
    },
    "root": {"handlers": _handlers, "level": env.str("LOG_LEVEL", default="INFO")},
}
if log_file := env.str("LOG_FILE", default=""):
    LOGGING["handlers"]["file"] = {
        "class": "logging.handlers.WatchedFileHandler",
        "filename": str(BASE_DIR / log_file),
        "formatter": LOG_FORMAT,
        "filters": _filters,
    }
    _handlers.append("file")
