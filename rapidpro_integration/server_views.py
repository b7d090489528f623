"""The page of a person's servers: those that the person may use, and the wishes for others."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.selectors import person
from rapidpro_integration import selectors, server_services
from rapidpro_integration.forms import ServerRequestForm
from rapidpro_integration.models import RequestState
from rapidpro_integration.server_services import ServerAskedAlready, TooManyServersAsked


@require_http_methods(["GET", "HEAD", "POST"])
async def server_list(request: HttpRequest) -> HttpResponseBase:
    """Show the servers that the person may use and the wishes for others, and take a new wish."""
    reach = await selectors.areach_of(person(request).pk)
    wishes = await selectors.aserver_requests_of(person(request).pk)
    waiting = {wish.origin for wish in wishes if wish.state == RequestState.WAITING}
    form = ServerRequestForm(request.POST if request.method == "POST" else None, reach=reach, waiting=waiting)
    if form.is_bound and form.is_valid():
        return await _aask(request, form)
    context = {"section": "tokens", "reach": reach, "wishes": wishes, "form": form}
    return TemplateResponse(request, "rapidpro_integration/server_list.html", context)


async def _aask(request: HttpRequest, form: ServerRequestForm) -> HttpResponseBase:
    link = request.build_absolute_uri(reverse("admin:rapidpro_integration_serverrequest_changelist"))
    try:
        await server_services.aask_for_server(person(request), **form.cleaned_data, link=link)
    except ServerAskedAlready:
        messages.warning(request, _("You have asked for this server already."))
    except TooManyServersAsked:
        messages.error(request, _("You have asked for several servers already: wait for the answers."))
    else:
        messages.success(request, _("Your administrators were asked; you get a mail when they have decided."))
    return HttpResponseRedirect(resolve_url("rapidpro:server-list"))
