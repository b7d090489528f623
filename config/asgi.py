"""The ASGI application that every server of this project runs."""

import os

from django.core.asgi import get_asgi_application

from config.lifespan import Lifespan
from config.start import refuse_unfit_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = Lifespan(get_asgi_application())
refuse_unfit_database()
