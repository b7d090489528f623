"""Failures on purpose: a server that is down, hangs, breaks off, redirects, or answers with something else."""

from dataclasses import dataclass
from itertools import count

from rapidpro_integration.sandbox.messages import HTML, Response, html_page

STATUSES = ("400", "401", "403", "404", "429", "500", "502", "503", "504")
KINDS = (*STATUSES, "hang", "reset", "html", "redirect", "slow-body", "broken-json")


@dataclass
class Faults:
    """Which failure, and on which requests: on every `every`-th whose path contains `path`."""

    kind: str
    every: int = 1
    path: str = "/api/"
    slow_pause_s: float = 0.2

    def __post_init__(self) -> None:
        """Refuse an unknown failure at the start."""
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no failure of the sandbox: choose one of {', '.join(KINDS)}.")
        if self.every < 1:
            raise ValueError("A failure on every 0th request never comes: every must be at least 1.")
        self._numbers = count(1)

    def strikes(self, path: str) -> bool:
        """Return whether this request fails; each call counts as one request."""
        return self.path in path and next(self._numbers) % self.every == 0

    def replace(self, response: Response) -> Response:
        """Return what is answered instead."""
        if self.kind in STATUSES:
            title = f"{self.kind} from the sandbox"
            headers = [("Retry-After", "30")] if self.kind in ("429", "503") else []
            return Response(int(self.kind), HTML, html_page(title, "A failure on purpose."), headers)
        if self.kind == "html":
            return Response(200, HTML, html_page("Captive portal", "Sign in to use this network."))
        if self.kind == "redirect":
            return Response(302, HTML, b"", [("Location", "https://elsewhere.invalid/api/v2/")])
        if self.kind == "broken-json":
            return Response(200, "application/json", response.body[: len(response.body) // 2])
        return response
