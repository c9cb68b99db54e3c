"""The requests session of an HTTP client. Imported when a client opens.

A call goes through `Session.send` and `HTTPAdapter.send` as they are: tools that hook requests patch those two. What
they ask of the adapter on each call (pool, certificates, target, response) is answered from what was found at opening:
a fifth of the time of a call with 100 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL
from requests.utils import select_proxy
from urllib3 import ProxyManager

from ._connections import POOL_CLASSES, is_proxy


class _Adapter(HTTPAdapter):
    """Calls one URL."""

    def __init__(self, max_connections: int) -> None:
        self._settled: tuple[str | None, Any, str] = (None, None, "")  # URL, its pool, what goes on the request's line
        super().__init__(pool_connections=1, pool_maxsize=max_connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):  # a SOCKS proxy's pools are its own
            manager.pool_classes_by_scheme = POOL_CLASSES
        return manager

    def settle(self, request: requests.PreparedRequest, settings: Mapping[str, Any]) -> None:
        """Finds the pool once; raises what only a call would: a missing CA bundle, a malformed proxy."""
        proxies = settings["proxies"]
        proxy = select_proxy(str(request.url), proxies)
        if proxy and not is_proxy(proxy):
            raise InvalidProxyURL("the environment's proxy is no URL of a host")
        pool = self.get_connection_with_tls_context(request, settings["verify"], proxies, settings["cert"])
        self.cert_verify(pool, str(request.url), settings["verify"], settings["cert"])
        self._settled = (request.url, pool, self.request_url(request, proxies))

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        url, pool, _ = self._settled
        return pool if request.url == url else super().get_connection_with_tls_context(request, *args, **kwargs)

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        if conn is not self._settled[1]:
            super().cert_verify(  # type: ignore[no-untyped-call]
                conn, *args, **kwargs
            )

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        url, _, target = self._settled
        return target if request.url == url else super().request_url(request, proxies)

    def close(self) -> None:
        """Closes the connections; stock requests leaves that to the collection of the pool, which is held here."""
        super().close()
        if self._settled[1] is not None:
            self._settled[1].close()

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Stock but for what a function's client does not read: cookies, and the text's encoding."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers  # urllib3's, which disregard case as well
        response.raw = resp
        response.reason = resp.reason
        response.url = str(req.url)
        response.request = req
        response.connection = self
        return response


class _NoCookies(requests.cookies.RequestsCookieJar):
    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keeps none: calls have nothing to do with each other."""


class HttpSession(requests.Session):
    """Calls one URL, follows nothing and remembers nothing."""

    def __init__(self, max_connections: int) -> None:
        super().__init__()
        self.cookies = _NoCookies()
        self._adapter = _Adapter(max_connections)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def settle(self, request: requests.PreparedRequest, settings: Mapping[str, Any]) -> None:
        """Finds out what a call would. Connects nowhere."""
        self._adapter.settle(request, settings)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: `Session.send` would read a redirect's whole body only to note where it led."""
        return None
