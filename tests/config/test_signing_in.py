"""What somebody is answered whose session has ended: a whole sign-in, and the way back to where they were."""

import pytest
from django.test import Client

from rapidpro_integration.models import RapidProToken

PART = {"HX-Request": "true"}


@pytest.mark.parametrize("address", ["/?q=school", "/tokens/", "/staff/overview/"])
def test_part_of_a_page_is_no_sign_in_page(client: Client, db: None, address: str) -> None:
    response = client.get(address, headers=PART)
    assert (response.status_code, response.content) == (204, b"")
    following = address.replace("?", "%3F").replace("=", "%3D")
    assert response.headers["HX-Redirect"] == f"/accounts/login/?next={following}"


def test_what_was_posted_is_dropped_and_the_person_is_told_and_led_back(client: Client, token: RapidProToken) -> None:
    page = f"/tokens/{token.pk}/flows/?q=school"
    answer = client.post(f"/tokens/{token.pk}/flows/refresh/", headers={"Referer": f"http://testserver{page}"})
    assert answer.headers["Location"] == f"/accounts/login/?next=/tokens/{token.pk}/flows/%3Fq%3Dschool"
    assert b"Nothing was changed: you are not signed in any more." in client.get(answer.headers["Location"]).content


def test_htmx_leads_back_to_the_page_in_which_it_posted(client: Client, token: RapidProToken) -> None:
    headers = PART | {"HX-Current-URL": "http://testserver/tokens/"}
    answer = client.post(f"/tokens/{token.pk}/check/", headers=headers)
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=/tokens/"


@pytest.mark.parametrize("page", ["http://evil.example/tokens/", "//evil.example/", "tokens/", "javascript:1", ""])
def test_nobody_is_led_to_another_site(client: Client, token: RapidProToken, page: str) -> None:
    answer = client.post(f"/tokens/{token.pk}/check/", headers={"Referer": page})
    assert answer.headers["Location"] == "/accounts/login/?next=/"
