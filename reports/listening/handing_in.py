"""How ratings come back: sent to an address, by mail, or as a file, and what listeners get for it.

The page sends one POST per listener: the JSON of `reports.listening.records.Ratings` as plain text,
which a browser sends without asking first. Whoever answers must let any page read the answer
(`Access-Control-Allow-Origin: *`), must not redirect, and must answer 2xx only when the text is
kept: until then the ratings stay in the browser and can be downloaded.

The page's policy lets it connect to that one address and to nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from bench.api import ConfigError

LONGEST_ADDRESS = 2000
LONGEST_CODE = 64
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
# Letters of addresses that end neither a source of a policy nor an attribute.
_ADDRESS = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&()*+=._~%-]+", re.ASCII)
_MAIL = re.compile(r"[A-Za-z0-9.!#$*+=_~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class HandIn:
    """Where ratings go; all may be empty, and a file is always offered.

    Args:
        post: An address that takes ratings.
        email: An address to which listeners send the file.
        code: What a service for studies asks listeners for at the end.
        code_url: Where a link at the end leads.
    """

    post: str = ""
    email: str = ""
    code: str = ""
    code_url: str = ""

    @property
    def source(self) -> str:
        """What the page may connect to, as a source of a content security policy."""
        return source_of(self.post) if self.post else "'none'"


def source_of(address: str) -> str:
    """An address as a source of a content security policy, which knows no query.

    Example:
        >>> source_of("https://forms.example.org/take?form=7")
        'https://forms.example.org/take'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}"


def require_addresses(given: HandIn) -> None:
    """Check what the page will name.

    Raises:
        ConfigError: One is no address of its kind, or is too long.
    """
    for option, address in (("--post", given.post), ("--completion-url", given.code_url)):
        if address:
            _require_address(option, address)
    if given.email and not _MAIL.fullmatch(given.email):
        raise ConfigError(
            f"--email {given.email!r} is no plain mail address; listeners send their file there. "
            "Write it as name@example.org."
        )
    if len(given.code) > LONGEST_CODE or not given.code.isprintable():
        raise ConfigError(
            f"--completion-code {given.code!r} is no code; it has up to {LONGEST_CODE} printable "
            "characters. Copy it as the service shows it."
        )


def _require_address(option: str, address: str) -> None:
    parts = _split(address)
    host = "" if parts is None else parts.hostname or ""
    secure = parts is not None and (
        parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)
    )
    plain = len(address) <= LONGEST_ADDRESS and _ADDRESS.fullmatch(address) is not None
    if not (secure and plain and host) or "@" in address.partition("?")[0]:
        raise ConfigError(
            f"{option} {address[:LONGEST_CODE]!r} is no address for a page; it begins with https:"
            "// (http:// for this machine alone) and has no name, password, quote, comma, "
            "semicolon or blank. Write it as https://example.org/path."
        )


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # which refuses what is no number
    except ValueError:
        return None
    return parts


Service = Literal["prolific", "mturk"]
# What services for studies add to the address: who listens, in which study, in which session.
PARAMETERS: dict[Service, tuple[str, str, str]] = {
    "prolific": ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID"),
    "mturk": ("workerId", "hitId", "assignmentId"),
}
