"""The front page: what is at / for who is signed in, and for a stranger."""

from django.urls import path

from config.views import front
from rapidpro_integration.home_views import home

urlpatterns = [path("", front(home), name="home")]
