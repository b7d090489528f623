"""The first page."""

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from config.pages import in_one_hop
from rapidpro_integration.staff import ranges
from rapidpro_integration.staff.frame import held_by, needs, page_response
from rapidpro_integration.staff.overview import overview as overview_of


@require_safe
@needs("staff_overview")
@in_one_hop
def overview(request: HttpRequest) -> HttpResponseBase:
    """Show how everything is doing, and what needs a look first."""
    within = ranges.range_of(request.GET)
    found = overview_of(within, held_by(request))
    context = {"overview": found, "within": within, "ranges": ranges.CHOICES}
    return page_response(request, "overview", "overview.html", **context)
