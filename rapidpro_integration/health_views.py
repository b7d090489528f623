"""What a person sets about the health of their tokens: an age after which one is replaced, and the weekly mail."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.selectors import person
from rapidpro_integration import selectors
from rapidpro_integration.forms import TokenAgeForm
from rapidpro_integration.health import rotating, wishes


@require_http_methods(["GET", "HEAD", "POST"])
async def token_age(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Set after how many days the person wants to be asked for a new token, or never."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    form = TokenAgeForm(request.POST if request.method == "POST" else None, initial={"days": token.rotate_by_days})
    if form.is_bound and form.is_valid():
        await rotating.aset_age(token, form.cleaned_data["days"])
        messages.success(request, _("The age of the token was saved."))
        return HttpResponseRedirect(token.get_absolute_url())
    context = {"section": "tokens", "form": form, "token": token}
    return TemplateResponse(request, "rapidpro_integration/token_age.html", context)


@require_POST
async def digest_set(request: HttpRequest) -> HttpResponseBase:
    """Switch the weekly mail on or off."""
    wanted = request.POST.get("wanted") == "1"
    await wishes.aset_digest(person(request).pk, wanted=wanted)
    messages.success(request, _("You will get a mail each week.") if wanted else _("You will get no weekly mail."))
    return HttpResponseRedirect(resolve_url("rapidpro:token-list"))
