"""The headers and the plain 404 in a sync stack; test_config.py sees them in the async one."""

from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from config.middleware import plain_not_found, security_headers


def test_sync_stack_is_stamped_and_nothing_of_a_views_own_is_replaced(rf: RequestFactory) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Cache-Control": "max-age=60"})

    response = security_headers(view)(rf.get("/"))
    assert response.headers["Permissions-Policy"].startswith("camera=()")  # type: ignore[union-attr]
    assert response.headers["Cache-Control"] == "max-age=60"  # type: ignore[union-attr]


def test_sync_stack_answers_404_and_lets_other_faults_through(rf: RequestFactory, db: None) -> None:
    middleware = plain_not_found(lambda request: HttpResponse("fine"))
    request = rf.get("/")
    assert middleware(request).content == b"fine"  # type: ignore[union-attr]
    missing = middleware.process_exception(request, Http404("row 7 of tenant 9"))  # type: ignore[union-attr]
    assert missing.status_code == 404
    assert b"tenant 9" not in missing.content
    assert middleware.process_exception(request, ValueError()) is None  # type: ignore[union-attr]
