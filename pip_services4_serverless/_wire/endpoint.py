"""The settings of a pool: its limits, and its endpoint, which may use TLS and a proxy."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from .._locks import ForkLock

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """An HTTP proxy."""

    host: str
    port: int
    is_tls: bool
    authorization: str | None  # the value of `Proxy-Authorization`, a secret

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"


class PoolLimits(NamedTuple):
    """The limits of a pool."""

    max_connections: int  # idle connections that are kept; the number of concurrent requests is not limited
    connect_timeout: float  # seconds, unless a request has its own
    timeout: float  # seconds for a whole exchange, unless a request has its own
    idle_timeout: float  # seconds after which an idle connection is no longer reused
    max_response_size: int  # bytes of a response body after decompression


class Endpoint(NamedTuple):
    """The destination of a pool's connections."""

    host: str
    port: int
    is_tls: bool
    authority: str  # the value of `Host`
    ca_bundle: str  # the path of a file or of a folder
    proxy: Proxy | None
    keepalive: float  # seconds without traffic before TCP keep-alive probes; 0 sends none

    @classmethod
    def from_url(cls, url: str, ca_bundle: str, proxy_url: str | None = None, keepalive: float = 0) -> Endpoint:
        """The endpoint of an absolute http or https URL.

        Raises:
            ValueError: the port or the proxy's URL cannot be used. The message does not quote the proxy's URL, because
                it may contain a password.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", _port(parts) or _DEFAULT_PORTS[parts.scheme]
        authority = f"[{host}]" if ":" in host else host
        if port != _DEFAULT_PORTS[parts.scheme]:
            authority = f"{authority}:{port}"
        proxy = _parse_proxy(proxy_url) if proxy_url else None
        return cls(host, port, parts.scheme == "https", authority, ca_bundle, proxy, keepalive)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to connect to: the proxy's, if there is one."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def uses_tls(self) -> bool:
        """Whether the connection to the function, to the proxy, or to both uses TLS."""
        return self.is_tls or (self.proxy is not None and self.proxy.is_tls)

    @property
    def sends_whole_url(self) -> bool:
        """Whether the request line contains the whole URL: for http through a proxy. For https there is a tunnel."""
        return self.proxy is not None and not self.is_tls


def _parse_proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, _port(parts)
    except ValueError:
        host = None
    if not host:
        raise ValueError("the proxy in the environment is not a valid URL with a host")
    if parts.scheme.startswith("socks"):
        raise ValueError("the proxy in the environment is a SOCKS proxy; only http and https proxies are supported")
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"the proxy in the environment must begin with http:// or https://, not {parts.scheme[:20]!r}")
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(user.encode()).decode()}"
    return Proxy(host, port or _DEFAULT_PORTS[parts.scheme], parts.scheme == "https", authorization)


def _port(parts: SplitResult) -> int | None:
    """The port of a URL, or None if it is missing. Raises ValueError unless it is a number from 1 to 65535."""
    if parts.port == 0:
        raise ValueError("the port of a URL cannot be 0")
    return parts.port


# By CA bundle, with the status of its file. Reading a bundle takes longer than all other steps of connecting.
_contexts: dict[str, tuple[tuple[int, ...], ssl.SSLContext]] = {}
_contexts_lock = ForkLock()  # threads that connect at the same time wait until one of them has read the bundle


def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """The context that verifies certificates with a bundle. If the file is deleted later, the last context is used.

    Raises:
        OSError: the bundle does not exist, or is not valid.
    """
    context = _known_context(ca_bundle)
    if context is None:
        with _contexts_lock.own:
            context = _known_context(ca_bundle) or _create_context(ca_bundle)
    return context


def _known_context(ca_bundle: str) -> ssl.SSLContext | None:
    """The context of the file as it is now, if there is one."""
    state, context = _contexts.get(ca_bundle, (None, None))
    with suppress(OSError):  # the file was deleted
        return context if state == _file_state(ca_bundle) else None
    return context


def _create_context(ca_bundle: str) -> ssl.SSLContext:
    state = _file_state(ca_bundle)
    is_folder = os.path.isdir(ca_bundle)
    context = ssl.create_default_context(
        cafile=None if is_folder else ca_bundle, capath=ca_bundle if is_folder else None
    )
    context.set_alpn_protocols(["http/1.1"])
    _contexts[ca_bundle] = state, context
    return context


def _file_state(path: str) -> tuple[int, ...]:
    """It changes with the file. The modification time is not enough: a new file may have the same time."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ino, status.st_dev, status.st_size
