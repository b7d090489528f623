"""How far a long command is: a bar on a terminal, a line for each twentieth elsewhere."""

from django.core.management.base import OutputWrapper

_WIDTH = 30
_LINES = 20


class Progress:
    """Call it with the number of things that were dealt with; it prints to `out`."""

    def __init__(self, out: OutputWrapper, total: int) -> None:
        self._out, self._total = out, total
        self._done = self._lines = 0

    def __call__(self, count: int) -> None:
        """Add `count`, and show it where there is something new to show."""
        # Rows that appear meanwhile come on top of what was counted at the start.
        self._done += count
        self._total = max(self._total, self._done)
        text = f"{self._done:,} of {self._total:,}"
        if self._out.isatty():
            filled = _WIDTH * self._done // self._total
            self._write(f"\r[{'#' * filled}{'.' * (_WIDTH - filled)}] {text}")
        elif (lines := _LINES * self._done // self._total) > self._lines:
            self._lines = lines
            self._write(f"{text}\n")

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._done and self._out.isatty():
            self._write("\n")

    def _write(self, text: str) -> None:
        self._out.write(text, ending="")
        self._out.flush()
