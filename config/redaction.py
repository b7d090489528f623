"""The last line of defence of the logs: whatever looks like a secret is masked before a handler sees it.

Code that logs a secret is at fault all the same: a mask knows the forms that it knows.
"""

import logging
import re
from collections.abc import Callable

MASK = "••••••••"

_formatter = logging.Formatter()
_NAMES = r"authorization|password\w*|passwd|passphrase|secret\w*|api[-_]?key|csrf\w*|session\w*|credential\w*|token\w*"

# In this order: a cookie header goes as a whole before a name in it is looked at. Each keeps what says what it was.
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # The whole rest of the line: cookies come in rows.
    (re.compile(r"""\b((?:set-)?cookie["']?\s*[:=,]\s*)[^\r\n]+""", re.IGNORECASE), rf"\1{MASK}"),
    (
        re.compile(r"""\b(authorization["']?\s*[:=,]\s*(?:b?["'])?(?:[a-z]+\s+)?)[\w.~+/=-]{4,}""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(Token|Bearer|Basic|Digest)(\s+)(?![0-9a-f]{8}-)[\w.~+/=-]{16,}", re.IGNORECASE), rf"\1\2{MASK}"),
    # Bounded, so that a long hostile line costs no more than its length.
    (re.compile(r"(://[^\s/:@]{0,256}:)[^\s/@]{1,1024}(?=@)"), rf"\1{MASK}"),
    # password=…, "token": "…", token%3D… and the like.
    (
        re.compile(rf"""((?:{_NAMES})(?:["']?\s*(?:=|:)|%3D)\s*["']?)[^\s"'&,;)}}\]]{{6,}}""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # What PostgreSQL adds to an error: the row that it refused, or the value that was there already.
    (re.compile(r"^(DETAIL:\s+)[^\r\n]+", re.MULTILINE), rf"\1{MASK}"),
    # A digest in hex, which is what a token looks like wherever it stands.
    (re.compile(r"[0-9a-f]{40,}", re.IGNORECASE), MASK),
)


def redacted(text: str) -> str:
    """Return the text with what looks like a token, a password, a cookie or a credential masked."""
    for pattern, mask in _RULES:
        text = pattern.sub(mask, text)
    return text


def _one_line(text: str) -> str:
    # A line break that somebody sent would begin what looks like an entry of ours; an escape would colour or erase it.
    return "".join(sign if sign.isprintable() or sign == "\t" else ascii(sign)[1:-1] for sign in text)


class RedactingFilter(logging.Filter):
    """Hands each handler a copy of the record whose message, stack and traceback are masked texts.

    What could hold more (the arguments, the exception with its frames, the request) does not reach the handler.
    """

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the masked copy; the record itself stays as it is for other handlers."""
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001  # a log call that does not fit must not break what it speaks of
            message = f"{record.msg!r} (its values do not fit: {type(error).__name__})"
        copy = logging.makeLogRecord(
            {name: value for name, value in vars(record).items() if name in _KEPT}
            | {"msg": _one_line(redacted(message)), "args": None, "exc_info": None}
        )
        if record.exc_info:
            copy.exc_text = redacted(_formatter.formatException(record.exc_info))
        elif record.exc_text:
            copy.exc_text = redacted(record.exc_text)
        if record.stack_info:
            copy.stack_info = redacted(record.stack_info)
        return copy


# Facts of the place and the time; anything else that a caller hangs on a record is dropped.
_KEPT = frozenset(vars(logging.makeLogRecord({}))) - {"msg", "args", "exc_info", "exc_text", "stack_info"}
