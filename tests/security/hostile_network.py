"""What an attacker's server got of saved tokens while the network lied.

python -m tests.security.hostile_network
"""

import sys

from tests.security.running import count, tally


def main() -> int:
    """Run the tests and print one line; return 1 if any failed."""
    counted, told = count("test_hostile_network.py")
    sys.stdout.write(told if counted.failed else "")
    sys.stdout.write(
        f"hostile network: {counted.ran} tests, {counted.failed} failed; in {tally.scenes} scenes the attacker's server"
        f" got {tally.requests} requests and {tally.tokens} tokens\n"
    )
    return 1 if counted.failed else 0


if __name__ == "__main__":
    sys.exit(main())
