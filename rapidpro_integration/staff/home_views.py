"""The door of the staff pages."""

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_safe

from rapidpro_integration.staff.frame import PAGES, allows, needs, refused


@require_safe
@needs()
async def home(request: HttpRequest) -> HttpResponseBase:
    """Lead to the first page that the person may see."""
    for page in PAGES:
        if allows(request, page.permission):
            return HttpResponseRedirect(page.address)
    return refused(request, PAGES[0].permission)
