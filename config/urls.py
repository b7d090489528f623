"""Every address of the site."""

from allauth.account import views as account_views
from allauth.mfa.webauthn.views import login_webauthn
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.utils.translation import gettext_lazy as _

from accounts.reauthentication import reauthentication_required
from config import probes, views

admin.site.site_header = admin.site.site_title = _("Administration")
admin.site.index_title = settings.SITE_NAME

urlpatterns = [
    path("", include("rapidpro_integration.home_urls")),
    # Answered by a middleware, ahead of all others; here for the names, and for those who may not read.
    path("healthz", probes.livez, name="healthz"),
    path("livez", probes.livez, name="livez"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics_page, name="metrics"),
    path("favicon.ico", views.favicon, name="favicon"),
    # Ahead of allauth's own, which asks for no fresh proof on the first and for the old password alone on the second.
    path("accounts/email/", reauthentication_required(account_views.email), name="account_email"),
    path(
        "accounts/password/change/",
        reauthentication_required(account_views.password_change),
        name="account_change_password",
    ),
    # Open to strangers, which allauth does not say of it.
    path("accounts/2fa/webauthn/login/", login_not_required(login_webauthn), name="mfa_login_webauthn"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("tokens/", include("rapidpro_integration.urls")),
    path("staff/", include("rapidpro_integration.staff.urls")),
]

handler400 = "config.views.bad_request"
handler403 = "config.views.forbidden"
handler404 = "config.views.not_found"
handler429 = "config.views.too_many_requests"  # allauth's rate limits look for it here
handler500 = "config.views.server_error"
