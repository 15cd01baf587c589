"""What the hub's client raises, read: the kind of error, the status of the answer, its first words.

The client changed the library that it sends with; the base of its own errors leads to either.
"""

from __future__ import annotations

from typing import Any

UNAUTHORISED, FORBIDDEN = 401, 403


def transport_error() -> type[Exception]:
    """The base of what the client's transport raises."""
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError.__bases__[0]


def status_of(error: BaseException) -> int | None:
    """The status of the answer that an error carries; None where there was no answer."""
    response: Any = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def first_line(error: BaseException) -> str:
    """The first words of an error, 200 characters of them.

    Example:
        >>> first_line(ValueError("no such file")), first_line(ValueError(""))
        ('no such file', 'no reason given')
    """
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else "no reason given"
