"""What the two Django programs make of the upstream's JSON."""

from datetime import datetime
from typing import Any

PATH = "/api/v2/flows.json"
# As long as a slow program with 500 people before it takes: none is cut off.
TIMEOUT_S = 120


def rows_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the flows with what the table shows: sums, shares and times."""
    rows = []
    for flow in answer["results"]:
        total = sum(flow["runs"].values())
        rows.append(
            flow
            | {
                "total": total,
                "completed": round(100 * flow["runs"]["completed"] / total) if total else None,
                "modified_on": datetime.fromisoformat(flow["modified_on"]),
                "created_on": datetime.fromisoformat(flow["created_on"]),
            }
        )
    return rows
