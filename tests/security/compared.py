"""The promises beside other keepers of tokens: which test holds which stands in test_compared.py.

python -m tests.security.compared
"""

import sys

from tests.security.running import count


def main() -> int:
    """Run the tests and print one line; return 1 if any failed."""
    counted, told = count("test_compared.py")
    sys.stdout.write(told if counted.failed else "")
    sys.stdout.write(
        f"beside n8n, Nango, Sentry, Grafana and RapidPro's dashboards: {counted.ran} tests of 7 promises,"
        f" {counted.failed} failed\n"
    )
    return 1 if counted.failed else 0


if __name__ == "__main__":
    sys.exit(main())
