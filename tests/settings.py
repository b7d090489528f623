"""The site's settings with fixed test values: no `.env` of a developer's reaches the tests."""

import base64
import os

os.environ.update(
    ENV_FILE="",
    DEBUG="false",
    HTTPS="false",
    SECRET_KEY="tests-" + "s" * 60,
    AUDIT_KEY="",
    AUDIT_KEY_FALLBACKS="",
    TOKEN_KEYS="k1:" + base64.b64encode(bytes(range(32))).decode(),
    TOKEN_KEYS_FILE="",
    TOKEN_KEYS_PROVIDER="",
    RAPIDPRO_SERVERS="https://rapidpro.example,https://other.example",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    EMAIL_VERIFICATION="optional",
    SIGNUP_OPEN="true",
    LOG_FILE="",
    LOG_FORMAT="text",
    SENTRY_DSN="",
)
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
os.environ.setdefault("CACHE_URL", "locmemcache://tests")

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
# A test's client serves no static files: listing them anew for each client took 30 % of the time.
SERVESTATIC_USE_FINDERS = SERVESTATIC_USE_STATIC_ROOT = False
