"""The ASGI application that every server of this project runs."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402  # now they are read

from config import in_use  # noqa: E402
from config.handler import Handler  # noqa: E402  # it needs the settings
from config.lifespan import Lifespan  # noqa: E402
from config.start import bound_statements, refuse_faults  # noqa: E402

in_use.hold(settings.DATABASES["default"])
application = Lifespan(Handler())
bound_statements()
refuse_faults()
