"""What the frame of a page costs: thread hops, queries, connections, upstream requests and CPU time, page by page.

    DATABASE_URL=postgres://… python -m benchmarks.bench_frame [--beside TREE] [--rounds 5] [--requests 300]

Each round is a process of its own (`frame_child.py`) on the same migrated database, DEBUG off; with `--beside`, rounds
of this tree and of the other (`git archive COMMIT | tar x -C TREE`) take turns. The table has the rounds' medians.
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHILD = Path(__file__).with_name("frame_child.py")
COUNTED = ("hops", "threads", "queries", "connections", "upstream")


def environment(tree: Path, static_root: str) -> dict[str, str]:
    """Return the environment of a site in production, but for https, which nobody here terminates."""
    return os.environ | {
        "PYTHONPATH": str(tree),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": "",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1,testserver",
        "SECRET_KEY": "frame-" + "s" * 60,
        "TOKEN_KEYS": "k1:" + base64.b64encode(bytes(range(32))).decode(),
        "RAPIDPRO_SERVERS": "https://rapidpro.example",
        "LOG_LEVEL": "WARNING",
        "STATIC_ROOT": static_root,
        "EMAIL_URL": "dummymail://",
    }


def run(tree: Path, *arguments: str) -> dict[str, Any]:
    """Return what one child measures in that tree."""
    static_root = os.environ.get("STATIC_ROOT", str(tree / "staticfiles"))
    command = [sys.executable, str(CHILD), *arguments]
    done = subprocess.run(
        command, env=environment(tree, static_root), cwd=tree, check=True, stdout=subprocess.PIPE, timeout=600
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def prepare(tree: Path) -> None:
    """Migrate the database; collect the static files unless they are there."""
    commands = [["migrate"]] if (tree / "staticfiles").exists() else [["migrate"], ["collectstatic", "--no-input"]]
    for command in commands:
        subprocess.run(
            [sys.executable, "manage.py", *command, "--verbosity", "0"],
            env=environment(tree, str(tree / "staticfiles")), cwd=tree, check=True, timeout=300,
        )  # fmt: skip


def table(rounds: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the medians as Markdown, a line for each page and tree."""
    lines = [
        "| page | tree | hops | threads | queries | connections | upstream | CPU ms | wall ms |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for page in next(iter(rounds.values()))[0]:
        for tree, found in rounds.items():
            of_page = [each[page] for each in found if page in each]
            if not of_page:
                continue
            numbers = " | ".join(str(len(of_page[-1][name])) for name in COUNTED)
            times = " | ".join(
                f"{statistics.median(each[name] for each in of_page):.2f}" if name in of_page[-1] else "–"
                for name in ("cpu_ms", "wall_ms")
            )
            lines.append(f"| {page} | {tree} | {numbers} | {times} |")
    return lines


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="another tree, to take turns with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    trees = {"before": options.beside.resolve(), "now": ROOT} if options.beside else {"now": ROOT}
    for tree in trees.values():
        prepare(tree)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for _ in range(options.rounds):
        for name, tree in trees.items():
            rounds[name].append(run(tree, "--cpu", str(options.requests), "--only", options.only))
    load = os.getloadavg()[0]
    print(*table(rounds), f"\nLoad of the machine: {load:.1f} on {os.cpu_count()} cores.", sep="\n")


if __name__ == "__main__":
    main()
