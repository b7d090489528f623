"""Why a request is refused, in RapidPro's words.

Exception
└── ApiError              a refusal with a status and a `detail`
    ├── NotAuthenticated  403: who are you?
    ├── NotPermitted      403: known, but the role is not enough
    ├── BadParam          400
    ├── InvalidCursor     404
    ├── MethodNotAllowed  405
    └── Throttled         429, with Retry-After
ServerFailure             what makes RapidPro itself break: a 500 in plain words
"""

import math
from typing import ClassVar


class ApiError(Exception):
    """A refusal that is answered with its status and `{"detail": …}`."""

    status: ClassVar[int] = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotAuthenticated(ApiError):
    """The credential is missing, malformed or unknown: RapidPro answers 403, never 401."""

    status = 403


class NotPermitted(ApiError):
    """The credential is good, the role is not."""

    status = 403

    def __init__(self) -> None:
        super().__init__("You do not have permission to perform this action.")


class BadParam(ApiError):
    """A parameter that RapidPro validates, and finds wrong."""


class InvalidCursor(ApiError):
    """A cursor that does not decode."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Invalid cursor")


class NotFound(ApiError):
    """A write to an object that is not there; reading one gives an empty list instead."""

    status = 404


class MethodNotAllowed(ApiError):
    """A method that the endpoint does not have."""

    status = 405

    def __init__(self, method: str) -> None:
        super().__init__(f'Method "{method}" not allowed.')


class Throttled(ApiError):
    """Too many requests; `retry_after_s` is in whole seconds."""

    status = 429

    def __init__(self, wait_s: float) -> None:
        self.retry_after_s = math.ceil(wait_s)
        unit = "second" if self.retry_after_s == 1 else "seconds"
        super().__init__(f"Request was throttled. Expected available in {self.retry_after_s} {unit}.")


class FieldErrors(Exception):
    """A 400 of the other shape: field names with their complaints, without `detail`."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


class ServerFailure(Exception):
    """A request on which RapidPro itself breaks: answered with a 500 in plain words."""
