"""No report of a fault holds what a variable or a posted field held, with DEBUG on or off."""

import sys

import pytest
from django.test import RequestFactory
from django.views.debug import technical_500_response
from pytest_django import Settings

from tests.conftest import SECRET

# Not written out: a report shows the lines of the source, and those of this file are among them.
LABEL = SECRET[::-1]


@pytest.mark.parametrize("debug", [True, False])
def test_report_has_names_and_lines_but_no_values(rf: RequestFactory, settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug
    request = rf.post("/tokens/add/", {"token": SECRET, "label": LABEL})

    def broken(secret: str) -> None:
        copied = [secret]
        raise RuntimeError(f"{len(copied)} copied")

    for accept in ("text/html", "text/plain"):
        request.META["HTTP_ACCEPT"] = accept
        try:
            broken(request.POST["token"])
        except RuntimeError:
            report = technical_500_response(request, *sys.exc_info()).content.decode()
        assert "RuntimeError" in report
        assert "1 copied" in report
        assert "label" in report
        assert SECRET not in report
        assert LABEL not in report
