"""Where a download may be led: the redirects that are followed, and those that are refused.

A server may send a client anywhere. A redirect goes on over https, and to an address of this
machine or of a private network only if the download began at such a one, as with a mirror that the
user named.
"""

from __future__ import annotations

import http.client
import ipaddress
import urllib.request
from typing import IO, Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class RouteError(Exception):
    """An address that a download may not go to; the message says which and why."""


def require_route(url: str) -> None:
    """Refuse an address that is neither https nor http on this machine.

    Raises:
        RouteError: It is something else, or no address at all.

    Example:
        >>> require_route("https://example.org/a.zip")
        >>> require_route("http://127.0.0.1:80@example.org/a.zip")
        Traceback (most recent call last):
        ...
        bench.fetching.routes.RouteError: http://127.0.0.1:80@example.org/a.zip is not https
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:  # brackets that do not close, and the like
        raise RouteError(f"{url!r:.200} is no address ({error})") from error
    here = parts.scheme == "http" and host in LOOPBACK
    if not here and (parts.scheme != "https" or not host):
        raise RouteError(f"{url:.200} is not https")


def opener_for(url: str) -> urllib.request.OpenerDirector:
    """What opens an address and follows its redirects as far as they are allowed.

    Raises:
        RouteError: The address itself is not allowed.
    """
    require_route(url)
    route = _Route(named=_is_private_name(url))
    handlers = (_Redirects(route), _Plain(route), _Secure(route))
    return urllib.request.build_opener(*handlers)


class _Route:
    """What is known of the first server of a download: whether it is one of a private network."""

    def __init__(self, *, named: bool) -> None:
        self.named = named
        self.private: bool | None = None

    def require_name(self, url: str) -> None:
        """Refuse a redirect by its address alone, as a proxy would not."""
        require_route(url)
        if _is_private_name(url) and not self.named:
            raise RouteError(f"it leads to {url:.200}, an address of a private network")

    def require_peer(self, address: str) -> None:
        """Refuse a server by the address that its name turned out to have."""
        private = _is_private(address)
        if self.private is None:
            self.private = private
        if private and not self.private:
            raise RouteError(f"it leads to {address}, an address of a private network")


def _is_private_name(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host == "localhost" or host.endswith(".localhost") or _is_private(host)


def _is_private(host: str) -> bool:
    """Whether it is the number of a machine that the public network does not reach."""
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a name
        return False
    inner = getattr(number, "ipv4_mapped", None)
    return not (inner or number).is_global


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, route: _Route) -> None:
        self._route = route

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: http.client.HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        self._route.require_name(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _PlainConnection(http.client.HTTPConnection):
    route: _Route

    def connect(self) -> None:
        super().connect()
        self.route.require_peer(self.sock.getpeername()[0])


class _SecureConnection(http.client.HTTPSConnection):
    route: _Route

    def connect(self) -> None:
        super().connect()
        self.route.require_peer(self.sock.getpeername()[0])


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, route: _Route) -> None:
        super().__init__()
        self._route = route

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, /, **options: Any) -> _PlainConnection:  # noqa: ANN401 - the library's own
        made = _PlainConnection(host, **options)
        made.route = self._route
        return made


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, route: _Route) -> None:
        super().__init__()
        self._route = route

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, /, **options: Any) -> _SecureConnection:  # noqa: ANN401 - the library's own
        made = _SecureConnection(host, **options)
        made.route = self._route
        return made
