"""What an entry of the audit log can say: what was done, and how it ended."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Action(models.TextChoices):
    """What somebody did, or tried to do. The values are part of signed rows: never change one."""

    SIGNED_IN = "signed_in", _("Signed in")
    SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
    SIGNED_OUT = "signed_out", _("Signed out")
    ACCOUNT_MADE = "account_made", _("Account made")
    ACCOUNT_CLOSED = "account_closed", _("Account closed")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    EMAIL_CHANGED = "email_changed", _("E-mail address changed")
    EMAIL_CONFIRMED = "email_confirmed", _("E-mail address confirmed")
    AUTHENTICATOR_ADDED = "authenticator_added", _("Second factor added")
    AUTHENTICATOR_REMOVED = "authenticator_removed", _("Second factor removed")
    PERMISSIONS_CHANGED = "permissions_changed", _("Permissions changed")

    TOKEN_ADDED = "token_added", _("Token added")
    TOKEN_CHECKED = "token_checked", _("Token checked")
    TOKEN_OPENED = "token_opened", _("Token used")
    TOKEN_REPLACED = "token_replaced", _("Token replaced")
    TOKEN_RENAMED = "token_renamed", _("Token renamed")
    TOKEN_DELETED = "token_deleted", _("Token deleted")
    TOKEN_DISABLED = "token_disabled", _("Token disabled")
    TOKEN_ENABLED = "token_enabled", _("Token enabled")
    TOKEN_AGE_SET = "token_age_set", _("Age of a token set")
    FLOWS_EXPORTED = "flows_exported", _("Flows exported")
    KEYS_ROTATED = "keys_rotated", _("Tokens sealed with another key")

    SERVER_ASKED = "server_asked", _("Server asked for")
    SERVER_DECIDED = "server_decided", _("Wish for a server answered")
    SERVER_CHANGED = "server_changed", _("Server changed by staff")

    FACTS_VIEWED = "facts_viewed", _("Facts looked at by staff")
    MAIL_SENT = "mail_sent", _("Mail to the owner")
    LOG_EXPORTED = "log_exported", _("Log exported")
    LOG_PRUNED = "log_pruned", _("Old entries removed")


class Outcome(models.TextChoices):
    """How it ended."""

    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")
    FAILED = "failed", _("Went wrong")
