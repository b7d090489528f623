"""The site as production runs it, which besides trusts the certificate authority of this run (BENCH_CA).

Only that is of the benchmark. The upstream is a server of a private network, as RAPIDPRO_SERVERS and
RAPIDPRO_PRIVATE_ORIGINS name one in production; a real one has a certificate that everybody trusts.
"""

import os

from benchmarks.contenders import trust
from config.asgi import application

__all__ = ["application"]

trust(os.environ["BENCH_CA"])
