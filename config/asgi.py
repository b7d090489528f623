"""The ASGI application that every server of this project runs."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from config.handler import Handler  # noqa: E402  # it needs the settings
from config.lifespan import Lifespan  # noqa: E402
from config.start import bound_statements, refuse_unfit_database  # noqa: E402

application = Lifespan(Handler())
bound_statements()
refuse_unfit_database()
