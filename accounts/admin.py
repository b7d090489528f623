"""User administration; the admin's door is the site's own sign-in page."""

from http import HTTPStatus
from typing import Any

from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Lower
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext_lazy as _

from accounts import services
from accounts.audit.admin import AuditEntryAdmin
from accounts.audit.looks import RecordsLooks
from accounts.models import User
from accounts.reauthentication import reauthentication_required, require_fresh_proof
from accounts.selectors import person

__all__ = ["AuditEntryAdmin", "AuthenticatorAdmin", "FreshProofAdmin", "UserAdmin"]


@login_not_required
def _to_the_one_door(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Send whoever wants into the admin to the site's own sign-in, the only one that asks for a second factor."""
    if request.user.is_authenticated:
        if not request.user.is_staff:
            raise PermissionDenied
        return HttpResponseRedirect(resolve_url("admin:index"))
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        wanted = resolve_url("admin:index")
    return HttpResponseRedirect(f"{resolve_url('account_login')}?{urlencode({REDIRECT_FIELD_NAME: wanted})}")


def _to_the_own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Send staff to the site's page for their password, which asks for a fresh proof and ends their other sessions."""
    return HttpResponseRedirect(resolve_url("account_change_password"))


admin.site.login = _to_the_one_door  # type: ignore[method-assign]
admin.site.password_change = _to_the_own_password  # type: ignore[method-assign,assignment]

admin.site.unregister(Authenticator)


class FreshProofAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    """Rows that are saved or deleted with a fresh proof only; without one the transaction is undone."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save. Raises ReauthenticationRequired."""
        require_fresh_proof(request)
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete. Raises ReauthenticationRequired."""
        require_fresh_proof(request)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete several. Raises ReauthenticationRequired."""
        require_fresh_proof(request)
        super().delete_queryset(request, queryset)


@admin.register(Authenticator)
class AuthenticatorAdmin(FreshProofAdmin):
    """Second factors: seen, and taken from a person who has lost them. What they hold is never shown or searched."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__email", "user__username"]
    readonly_fields = ["user", "type", "created_at", "last_used_at"]

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        """Take one factor away, with recovery codes that would be left alone, and end the person's sessions."""
        super().delete_model(request, obj)
        delete_dangling_recovery_codes(obj.user)
        services.end_sessions(obj.user, but=request.session.session_key)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Take several away, each as if alone."""
        for factor in queryset.select_related("user"):
            self.delete_model(request, factor)

    def get_fields(self, request: HttpRequest, obj: Authenticator | None = None) -> Any:
        """Return the facts alone: what is not listed here is never shown."""
        return self.readonly_fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: only the person sets one up."""
        return False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse look-ups that would tell a secret, letter by letter."""
        return "data" not in lookup.split("__") and super().lookup_allowed(lookup, value, request)


@admin.register(User)
class UserAdmin(RecordsLooks, FreshProofAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # generic for mypy only
    """People: find, deactivate, grant."""

    list_display = ["email", "name", "username", "is_active", "is_staff", "last_login", "tokens"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]
    search_fields = ["email", "username", "name"]
    ordering = [Lower("email")]  # as its unique index is
    fieldsets = (
        (None, {"fields": ("email", "username", "password")}),
        (_("Personal info"), {"fields": ("name", "language", "time_zone")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "username", "usable_password", "password1", "password2")}),
    )

    @method_decorator(reauthentication_required)
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002  # Django's name
        """Set somebody's password: what opens an account asks for a fresh proof here too."""
        response: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            services.end_sessions(User.objects.get(pk=id), but=request.session.session_key)
            # Django has given the administrator's own session another key, and its row went with the old one.
            services.note_session(request, person(request))
        return response

    def looked_at(self, row: User) -> dict[str, Any]:
        """Return the person whose row it is."""
        return {"owner": row}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return the users with the number of their tokens, in one query; only those of the page are counted."""
        users: QuerySet[User] = super().get_queryset(request)
        tokens = User.objects.filter(pk=OuterRef("pk")).order_by().values("pk")
        return users.annotate(token_count=Subquery(tokens.annotate(number=Count("rapidpro_tokens")).values("number")))

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        """Save; a changed address replaces all that the person had, which could still reset the password."""
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            services.change_address(obj)

    @admin.display(description=_("tokens"), ordering="token_count")
    def tokens(self, user: User) -> int:
        """Return how many tokens the user has saved."""
        return int(getattr(user, "token_count", 0))


def _guard(model: type[Model]) -> None:
    """Put the admin pages that allauth and Django make for a model behind a fresh proof, and write looks at it down.

    An address that is added to somebody's account, or marked as theirs, opens it by a new password. allauth's action
    that marks several would pass the guard, which sits where a row is saved: it is taken away.
    """
    page = type(admin.site.get_model_admin(model))
    habits: dict[str, Any] = {"actions": []}
    guards: list[type] = [] if issubclass(page, FreshProofAdmin) else [FreshProofAdmin]
    if any(field.name == "user" for field in model._meta.fields):
        guards.insert(0, RecordsLooks)
        habits["looked_at"] = lambda self, row: {"owner": row.user_id}
    admin.site.unregister(model)
    admin.site.register(model, type(page.__name__, (*guards, page), habits))


for _model in apps.get_models():
    if _model.__module__.startswith("allauth.") and admin.site.is_registered(_model):
        _guard(_model)
_guard(Group)
