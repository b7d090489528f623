"""How far a long command is: a bar on a terminal, a line for each twentieth elsewhere."""

from django.core.management.base import OutputWrapper

_WIDTH = 30
_LINES = 20
# Where nobody knows how many there will be, a line elsewhere than on a terminal is written for each of these.
_STEP = 1_000


class Progress:
    """Call it with the number of things that were dealt with; it prints to `out`. A total of 0 is one unknown."""

    def __init__(self, out: OutputWrapper, total: int) -> None:
        self._out, self._total, self._is_known = out, total, total > 0
        self._done = self._lines = 0

    def __call__(self, count: int) -> None:
        """Add `count`, and show it where there is something new to show."""
        # Rows that appear meanwhile come on top of what was counted at the start.
        self._done += count
        self._total = max(self._total, self._done)
        text = f"{self._done:,} of {self._total:,}" if self._is_known else f"{self._done:,} so far"
        if self._out.isatty():
            filled = _WIDTH * self._done // self._total if self._is_known and self._total else 0
            self._write(f"\r[{'#' * filled}{'.' * (_WIDTH - filled)}] {text}" if self._is_known else f"\r{text}")
        elif (lines := self._reached()) > self._lines:
            self._lines = lines
            self._write(f"{text}\n")

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._done and self._out.isatty():
            self._write("\n")

    def _reached(self) -> int:
        if not self._is_known:
            return self._done // _STEP
        return _LINES * self._done // self._total if self._total else 0

    def _write(self, text: str) -> None:
        # In no colour: on the errors' output that would be the one of an error.
        self._out.write(text, style_func=str, ending="")
        self._out.flush()
