"""The requests session of an HTTP client. Imported when a client opens.

A call goes through `Session.send` and `HTTPAdapter.send` as they are: tools that hook requests patch those two. What
they ask of the adapter on each call (pool, certificates, target, response) is answered from what was found at opening.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from .._rules.options import Options
from .._rules.response import CHUNK_SIZE, read_body
from .._wire.connection_pool import ConnectionPool
from .._wire.endpoint import Endpoint
from .._wire.headers import RequestHeaders
from .._wire.response import Response
from ._transport import limits_of

# What a body raises that breaks off, in a response that a tool made.
_BROKEN = (ChunkedEncodingError, ContentDecodingError)


class _Adapter(HTTPAdapter):
    """Calls one URL on a pool of our own; for another it is requests' own adapter."""

    def __init__(self, request: requests.PreparedRequest, settings: Mapping[str, Any], options: Options) -> None:
        super().__init__()
        self._url = str(request.url)
        verify = settings["verify"]
        bundle = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        proxy = select_proxy(self._url, settings["proxies"])
        self.endpoint = endpoint = Endpoint.of_url(self._url, bundle, proxy, options.tcp_keepalive / 1000)
        if endpoint.uses_tls and not os.path.exists(bundle):
            raise ValueError(f"the CA bundle does not exist: {bundle}")
        self.target = super().request_url(request, settings["proxies"])
        self._pool = ConnectionPool(endpoint, **limits_of(options))

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        if request.url == self._url:
            return self._pool
        return super().get_connection_with_tls_context(request, *args, **kwargs)

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        if conn is not self._pool:
            super().cert_verify(conn, *args, **kwargs)  # type: ignore[no-untyped-call]

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return self.target if request.url == self._url else super().request_url(request, proxies)

    def close(self) -> None:
        super().close()
        self._pool.close()

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Stock but for what a function's client does not read: cookies, and the text's encoding."""
        if req.url != self._url:
            return super().build_response(req, resp)
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers  # which disregard case as well
        response.raw = resp
        response.reason = resp.reason
        response.url = self._url
        response.request = req
        response.connection = self
        return response


class HttpSession(requests.Session):
    """Calls one URL, follows nothing and remembers nothing."""

    endpoint: Endpoint
    target: str  # what goes on the request's line
    _url: str
    _own_headers: RequestHeaders

    def call_only(self, request: requests.PreparedRequest, settings: Mapping[str, Any], options: Options) -> None:
        """Makes ready for requests as this one. Connects nowhere.

        Raises:
            ValueError: a proxy or a CA bundle that cannot be used.
        """
        adapter = _Adapter(request, settings, options)
        self.endpoint, self.target = adapter.endpoint, adapter.target
        self._url, self._own_headers = str(request.url), RequestHeaders(request.headers)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request_of(self, body: bytes) -> requests.PreparedRequest:
        """A request with this body. Its headers are its own: tools add to them.

        `PreparedRequest.copy` would also copy what is never used, as cookies.
        """
        request = requests.PreparedRequest()
        headers: Any = self._own_headers.copy()
        headers["Content-Length"] = str(len(body))
        request.method, request.url, request.headers, request.body = "POST", self._url, headers, body
        return request

    def body_of(self, response: requests.Response) -> bytes:
        """The whole body: ours is there already, and that of a response that a tool made is read within its bounds.

        Raises what `read_body` raises.
        """
        if isinstance(response.raw, Response):
            return response.raw.body
        with response:
            return read_body(response.iter_content(CHUNK_SIZE), response.status_code, _BROKEN)

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Generator[requests.Response, None, None]:
        """None: `Session.send` would read a redirect's whole body only to note where it led."""
        yield from ()
