"""Error reports without values: a report names files and lines, never what a variable held."""

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NoValuesReporterFilter(SafeExceptionReporterFilter):
    """Leaves local variables and posted fields out of every report, with DEBUG on as well as off."""

    def is_active(self, request: HttpRequest | None) -> bool:
        """Return True: Django's own filter would step aside while DEBUG is on."""
        return True

    def get_traceback_frame_variables(self, request: Any, tb_frame: FrameType) -> ItemsView[str, Any]:
        """Return no variables: any frame of a request can hold a token."""
        return dict[str, Any]().items()

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """Return the names of the posted fields, each with its value masked."""
        return dict.fromkeys(request.POST, self.cleansed_substitute) if request is not None else {}
