"""`{% perlanguage %}`: rendered once for each language, and blind to whoever is looking."""

import pytest
from django.template import Context, Template
from django.urls import set_script_prefix
from django.utils import translation


def test_each_language_has_its_own_words() -> None:
    template = Template("{% load i18n %}{% perlanguage %}{% translate 'Tokens' %}{% endperlanguage %}")
    for language in ("fr", "en", "ar", "fr"):
        with translation.override(language):
            assert template.render(Context()) == translation.gettext("Tokens")
    with translation.override("fr"):
        assert translation.gettext("Tokens") != "Tokens"


def test_nothing_of_one_persons_page_is_shown_to_the_next() -> None:
    template = Template("{% perlanguage %}[{{ user }}]{% endperlanguage %}{{ user }}")
    assert [template.render(Context({"user": name})) for name in ("Ann", "Ben")] == ["[]Ann", "[]Ben"]


def test_addresses_follow_the_path_that_the_site_is_under(request: pytest.FixtureRequest) -> None:
    template = Template("{% perlanguage %}{% url 'home' %}{% endperlanguage %}")
    request.addfinalizer(lambda: set_script_prefix("/"))
    assert template.render(Context()) == "/"
    set_script_prefix("/console/")
    assert template.render(Context()) == "/console/"
