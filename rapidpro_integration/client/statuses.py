"""What each HTTP status means when RapidPro sends it, in a sentence."""

from collections.abc import Mapping

INTERPRETATIONS: Mapping[int, str] = {
    200: "The request succeeded.",
    201: "The object was created.",
    204: "The request succeeded, and there is nothing to send back (after a delete or a bulk action).",
    400: "The request was not understood: a parameter or a field is missing, malformed or contradicts another.",
    401: "The credential was refused. RapidPro itself says 403 instead, so this is likely from a proxy before it.",
    403: (
        "Refused: the token is missing, malformed, unknown or revoked; or it is known and its user has no role that "
        "may do this; or the server wants https and was asked over plain http. The detail of the answer tells."
    ),
    404: (
        "Not found: no such address on this server, an invalid cursor, or an object to change that does not exist. "
        "Reading an unknown uuid is not a 404 but an empty list."
    ),
    405: "This address does not take this HTTP method.",
    406: "The server cannot answer in the content type that the Accept header asks for; ask for application/json.",
    429: (
        "Too many requests: the workspace's budget for this hour, which all its users and tokens share, is used up. "
        "How large it is, the server decides; Retry-After says how many seconds to wait."
    ),
    500: "The server failed on this request. Some malformed parameters do that too.",
    502: "A proxy before RapidPro got no usable answer from it. Try again later.",
    503: "The server is overloaded or under maintenance. Try again later, after Retry-After if it is sent.",
    504: "A proxy before RapidPro waited too long for its answer. Try again later.",
}


def interpretation(status_code: int) -> str:
    """Return what `status_code` means, beginning with the number and a colon."""
    return f"{status_code}: {INTERPRETATIONS.get(status_code, 'Unknown status code')}"
