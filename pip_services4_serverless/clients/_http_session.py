"""The requests session of an HTTP client. Imported when a client opens."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager

from ._connections import POOL_CLASSES


class _Adapter(HTTPAdapter):
    """Stock but for the pools."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):  # a SOCKS proxy's pools are its own
            manager.pool_classes_by_scheme = POOL_CLASSES
        return manager


class HttpSession(requests.Session):
    """Calls one URL, follows nothing and remembers nothing."""

    def __init__(self, max_connections: int) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(pool_connections=1, pool_maxsize=max_connections)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def settle(self, request: requests.PreparedRequest, settings: Mapping[str, Any]) -> None:
        """Finds out what only a call would: a missing CA bundle, a malformed proxy. Connects nowhere."""
        url = str(request.url)
        adapter: Any = self.get_adapter(url)
        pool = adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )
        adapter.cert_verify(pool, url, settings["verify"], settings["cert"])

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: `Session.send` would read a redirect's whole body only to note where it led."""
        return None
