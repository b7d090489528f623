"""The pages of a person's own account that allauth does not have."""

from django.contrib import messages
from django.contrib.auth import alogout
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.forms import ProfileForm
from accounts.models import User
from accounts.reauthentication import reauthentication_required
from accounts.selectors import person
from config.pages import in_one_hop


@require_http_methods(["GET", "HEAD", "POST"])
@in_one_hop
def profile(request: HttpRequest) -> HttpResponseBase:
    """Show and save name, language and time zone."""
    user = person(request)
    if request.method == "POST":
        # A row of its own: a refused form must not change the person that the rest of the page shows.
        user = User.objects.get(pk=user.pk)
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=user)
    if form.is_bound and form.is_valid():
        services.save_profile(user)
        with translation.override(user.language or translation.get_language_from_request(request)):
            messages.success(request, _("Saved."))
        return HttpResponseRedirect(resolve_url("accounts:profile"))
    return TemplateResponse(request, "accounts/profile.html", {"form": form, "section": "profile"})


@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required
async def close(request: HttpRequest) -> HttpResponseBase:
    """Say what will be destroyed; once more confirmed, destroy it."""
    user = await User.objects.aget(pk=person(request).pk)
    if request.method == "POST":
        try:
            await services.aclose_account(user)
        except services.LastSuperuser:
            messages.error(request, _("You are the only administrator: make somebody else one first."))
            return HttpResponseRedirect(request.path)
        await alogout(request)
        messages.success(request, _("Your account and its tokens were destroyed."))
        return HttpResponseRedirect(resolve_url("home"))
    count = await user.rapidpro_tokens.acount()
    return TemplateResponse(request, "accounts/close.html", {"count": count, "section": "profile"})
