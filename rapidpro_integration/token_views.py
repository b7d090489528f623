"""The pages of a person's tokens: list, add, look at, check, replace, rename, delete."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.limits import limited
from accounts.reauthentication import reauthentication_required
from accounts.selectors import person
from config.pages import in_one_hop
from rapidpro_integration import selectors, services
from rapidpro_integration.canaries import KeyUnfitError
from rapidpro_integration.checking import CheckOutcome, acheck_secret, acheck_token
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.forms import SecretForm, TokenAddForm, TokenRenameForm, TokenReplaceForm
from rapidpro_integration.health import page, wishes
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.problems import (
    keys_unfit_response,
    log_problem,
    problem_for,
    problem_of_state,
    problem_response,
)
from rapidpro_integration.servers import Access
from rapidpro_integration.services import TokenAlreadySaved, TokenChangedMeanwhile

FOLDER = "rapidpro_integration"


def _page(request: HttpRequest, template: str, **context: object) -> TemplateResponse:
    return TemplateResponse(request, f"{FOLDER}/{template}", {"section": "tokens", **context})


@require_safe
@in_one_hop
def token_list(request: HttpRequest) -> HttpResponseBase:
    """Show the person's tokens by label, each with its state."""
    owner_id = person(request).pk
    tokens, digest = list(selectors.tokens_of(owner_id)), wishes.wants_digest(owner_id)
    return _page(request, "token_list.html", tokens=tokens, digest=digest)


@require_http_methods(["GET", "HEAD", "POST"])
@limited("token_add")
async def token_add(request: HttpRequest) -> HttpResponseBase:
    """Save a new token in one step: its server is asked first."""
    reach = await selectors.areach_of(person(request).pk)
    form = TokenAddForm(request.POST if request.method == "POST" else None, reach=reach)
    if form.is_bound and form.is_valid():
        return await _aadd(request, form)
    return _page(request, "token_add.html", form=form)


async def _aadd(request: HttpRequest, form: TokenAddForm) -> HttpResponseBase:
    secret, server, owner_id = form.take_secret(), form.cleaned_data["server"], person(request).pk
    if existing := await services.afind_token(owner_id, server, secret):
        return _already_saved(request, existing)
    outcome = await acheck_secret(secret, server, form.cleaned_data["access"])
    if outcome.error and not form.cleaned_data["force"]:
        return await _anot_saved(request, "token_add.html", form, outcome)
    try:
        token = await services.aadd_token(owner_id, form.cleaned_data["label"], server, secret, outcome)
    except TokenAlreadySaved as caught:
        return _already_saved(request, caught.existing)
    except KeyUnfitError as error:
        return keys_unfit_response(request, error)
    return HttpResponseRedirect(reverse("rapidpro:token-detail", args=[token.pk]) + "?added=1")


def _already_saved(request: HttpRequest, existing: RapidProToken) -> HttpResponseBase:
    link = format_html('<a href="{}"><bdi>{}</bdi></a>', existing.get_absolute_url(), existing.label)
    messages.warning(request, format_html(_("You have already saved this token: {}."), link))
    return HttpResponseRedirect(resolve_url("rapidpro:token-list"))


async def _anot_saved(
    request: HttpRequest, template: str, form: SecretForm, outcome: CheckOutcome, token: RapidProToken | None = None
) -> HttpResponseBase:
    """Show the form again with what the server said; the token has to be typed again, because it was not kept."""
    assert outcome.error is not None  # noqa: S101  # narrows the type: the callers have looked
    log_problem(outcome.error, token, outcome.reference)
    await services.arecord_not_saved(person(request).pk, form.cleaned_data["server"], outcome, token)
    form.force_offered = True
    context = {"problem": problem_for(outcome.error), "error": outcome.error, "reference": outcome.reference}
    return _page(request, template, form=form, token=token, **context)


@require_safe
@in_one_hop
def token_detail(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Show what is known of one token: its state, its workspace, its last check."""
    token = selectors.get_token_or_404(person(request).pk, token_id)
    return _page(
        request,
        "token_detail.html",
        token=token,
        problem=problem_of_state(token.shown_state),
        health=page.of_token(token),
        now=timezone.now(),
        just_added="added" in request.GET,
    )


@require_POST
@limited("token_check")
async def token_check(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Ask the server about the token now, and show the answer."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    outcome = await acheck_token(token)
    if outcome.error and outcome.error.kind is Kind.BUSY:
        return problem_response(request, outcome.error, token, outcome.reference)
    if outcome.error:
        log_problem(outcome.error, token, outcome.reference)
    try:
        await services.arecord_check(token, outcome)
    except TokenChangedMeanwhile:
        messages.warning(request, _("Nothing was saved: the token is disabled, or it was replaced during the check."))
    if request.headers.get("HX-Request") == "true":
        token = await selectors.aget_token_or_404(person(request).pk, token_id)
        return _page(request, "token_list.html#row", token=token)
    if outcome.state == TokenState.WORKING:
        messages.success(request, _("The token works."))
    return HttpResponseRedirect(token.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required
@limited("token_add")
async def token_replace(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Put a new token into the row; its label and addresses stay."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    reach = await selectors.areach_of(token.owner_id)
    unlisted = token.access == Access.PUBLIC
    initial = {"server": "" if unlisted else token.server, "other_server": token.server if unlisted else ""}
    form = TokenReplaceForm(request.POST if request.method == "POST" else None, initial=initial, reach=reach)
    if form.is_bound and form.is_valid():
        return await _areplace(request, form, token)
    return _page(request, "token_replace.html", form=form, token=token)


async def _areplace(request: HttpRequest, form: TokenReplaceForm, token: RapidProToken) -> HttpResponseBase:
    secret, server = form.take_secret(), form.cleaned_data["server"]
    existing = await services.afind_token(token.owner_id, server, secret)
    if existing and existing.pk != token.pk:
        return _already_saved(request, existing)
    outcome = await acheck_secret(secret, server, form.cleaned_data["access"])
    if outcome.error and not form.cleaned_data["force"]:
        return await _anot_saved(request, "token_replace.html", form, outcome, token)
    try:
        await services.areplace_token(token, server, secret, outcome)
    except TokenAlreadySaved as caught:
        return _already_saved(request, caught.existing)
    except KeyUnfitError as error:
        return keys_unfit_response(request, error)
    except TokenChangedMeanwhile:
        messages.error(request, _("Nothing was saved: the token is disabled, or it was replaced meanwhile."))
    else:
        messages.success(request, _("The token was replaced."))
    return HttpResponseRedirect(token.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
async def token_rename(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Give the token another label."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    form = TokenRenameForm(request.POST if request.method == "POST" else None, initial={"label": token.label})
    if form.is_bound and form.is_valid():
        await services.arename_token(token, form.cleaned_data["label"])
        messages.success(request, _("The token was renamed."))
        return HttpResponseRedirect(token.get_absolute_url())
    return _page(request, "token_rename.html", form=form, token=token)


@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required
async def token_delete(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Ask first, then destroy the token."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    if request.method == "POST":
        await services.adelete_token(token)
        messages.success(request, _("The token “%(label)s” was deleted from here.") % {"label": token.label})
        return HttpResponseRedirect(resolve_url("rapidpro:token-list"))
    return _page(request, "token_delete.html", token=token)
