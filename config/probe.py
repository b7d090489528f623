"""`python -m config.probe URL`: exit code 0 if it answers with 200, for containers without curl."""

import http.client
import sys
from urllib.parse import urlsplit

LIMIT_S = 2.5


def main(url: str) -> int:
    """Ask once; return 0 for a 200, else 1 with a word on the error output."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=LIMIT_S)
    try:
        connection.request("GET", parts.path)
        status: int | str = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        status = type(error).__name__
    finally:
        connection.close()
    if status != 200:
        sys.stderr.write(f"{url}: {status}\n")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
