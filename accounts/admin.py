"""User administration; the admin's door is the site's own sign-in page."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Count, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import services
from accounts.audit.admin import AuditEntryAdmin
from accounts.audit.looks import RecordsLooks
from accounts.models import User

__all__ = ["AuditEntryAdmin", "UserAdmin"]

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


@admin.register(User)
class UserAdmin(RecordsLooks, DjangoUserAdmin):  # type: ignore[type-arg]  # generic for mypy only
    """People: find, deactivate, grant."""

    list_display = ["email", "name", "username", "is_active", "is_staff", "last_login", "tokens"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]
    search_fields = ["email", "username", "name"]
    ordering = ["email"]
    fieldsets = (
        (None, {"fields": ("email", "username", "password")}),
        (_("Personal info"), {"fields": ("name", "language", "time_zone")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "username", "usable_password", "password1", "password2")}),
    )

    def looked_at(self, row: User) -> dict[str, Any]:
        """Return the person whose row it is."""
        return {"owner": row}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return the users with the number of their tokens, in one query."""
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(token_count=Count("rapidpro_tokens"))

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        """Save; a changed address replaces all that the person had, which could still reset the password."""
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            services.change_address(obj)

    @admin.display(description=_("tokens"), ordering="token_count")
    def tokens(self, user: User) -> int:
        """Return how many tokens the user has saved."""
        return int(getattr(user, "token_count", 0))


def _record_looks_at(model: type[Model]) -> None:
    """Let the admin pages that allauth makes for its own models write their looks down too."""
    page = type(admin.site.get_model_admin(model))
    facts = {"looked_at": lambda self, row: {"owner": row.user_id}}
    admin.site.unregister(model)
    admin.site.register(model, type(page.__name__, (RecordsLooks, page), facts))


for _model in apps.get_models():
    if _model.__module__.startswith("allauth.") and admin.site.is_registered(_model):
        _record_looks_at(_model)
