"""Where a pool connects to: a host, possibly through a proxy, possibly with TLS."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """An HTTP proxy."""

    host: str
    port: int
    is_tls: bool
    authorization: str | None  # the value of `Proxy-Authorization`, a secret

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"


class Endpoint(NamedTuple):
    """The destination of a pool's connections."""

    host: str
    port: int
    is_tls: bool
    authority: str  # the value of `Host`
    ca_bundle: str  # a file or a folder of certificates
    proxy: Proxy | None
    keepalive: float  # seconds of silence before TCP keep-alive probes; 0 sends none

    @classmethod
    def of_url(cls, url: str, ca_bundle: str, proxy_url: str | None = None, keepalive: float = 0) -> Endpoint:
        """The endpoint of an absolute http or https URL.

        Raises:
            ValueError: the proxy's URL cannot be used; the message does not quote it, for it may hold a password.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
        authority = f"[{host}]" if ":" in host else host
        if port != _DEFAULT_PORTS[parts.scheme]:
            authority = f"{authority}:{port}"
        proxy = _proxy_of(proxy_url) if proxy_url else None
        return cls(host, port, parts.scheme == "https", authority, ca_bundle, proxy, keepalive)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to connect to: the proxy's, if there is one."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def uses_tls(self) -> bool:
        """Whether certificates are checked: the function's, the proxy's, or both."""
        return self.is_tls or (self.proxy is not None and self.proxy.is_tls)

    @property
    def sends_whole_url(self) -> bool:
        """Whether a request line has the whole URL: for plain http through a proxy. https uses a tunnel."""
        return self.proxy is not None and not self.is_tls


def _proxy_of(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ValueError("the proxy in the environment is not a URL with a host")
    if parts.scheme.startswith("socks"):
        raise ValueError("the proxy in the environment is a SOCKS proxy; only http and https proxies are supported")
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"the proxy in the environment must begin with http:// or https://, not {parts.scheme[:20]!r}")
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(user.encode()).decode()}"
    return Proxy(host, port or _DEFAULT_PORTS[parts.scheme], parts.scheme == "https", authorization)


# Reading a CA bundle takes longer than the rest of connecting, so contexts are kept by bundle and file status.
_contexts: dict[str, tuple[tuple[int, ...], ssl.SSLContext]] = {}


def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """The context that checks certificates against a bundle. It is kept if the file is deleted later.

    Raises:
        OSError: the bundle does not exist, or is not valid.
    """
    known = _contexts.get(ca_bundle)
    try:
        status = os.stat(ca_bundle)
    except OSError:
        if known is None:
            raise
        return known[1]
    # The time alone does not show that a file was replaced by one with the same time.
    state = status.st_mtime_ns, status.st_ino, status.st_dev, status.st_size
    if known is None or known[0] != state:
        is_folder = os.path.isdir(ca_bundle)
        context = ssl.create_default_context(
            cafile=None if is_folder else ca_bundle, capath=ca_bundle if is_folder else None
        )
        context.set_alpn_protocols(["http/1.1"])
        known = _contexts[ca_bundle] = (state, context)
    return known[1]
