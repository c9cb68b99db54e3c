"""The requests session of an HTTP client. Imported when a client opens.

A call goes through the unchanged `Session.send` and `HTTPAdapter.send`, which tools patch that hook requests. What
these ask of the adapter on each call (pool, certificates, target, response) was prepared when the client was opened.
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
from ._transport import pool_limits

# What an incomplete or undecodable body raises in a response made by a tool.
_BROKEN = (ChunkedEncodingError, ContentDecodingError)


class _Adapter(HTTPAdapter):
    """Calls one URL through our own pool. For any other URL it is the adapter of requests."""

    def __init__(self, request: requests.PreparedRequest, settings: Mapping[str, Any], options: Options) -> None:
        super().__init__()
        self._url = str(request.url)
        verify = settings["verify"]
        bundle = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        proxy = select_proxy(self._url, settings["proxies"])
        self.endpoint = endpoint = Endpoint.from_url(self._url, bundle, proxy, options.tcp_keepalive / 1000)
        if endpoint.uses_tls and not os.path.exists(bundle):
            raise ValueError(f"the CA bundle does not exist: {bundle}")
        self.target = super().request_url(request, settings["proxies"])
        self._pool = ConnectionPool(endpoint, pool_limits(options))

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
        """Like the method of requests, without what no client reads: cookies and the encoding of the text."""
        if req.url != self._url:
            return super().build_response(req, resp)
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers  # also case-insensitive
        response.raw = resp
        response.reason = resp.reason
        response.url = self._url
        response.request = req
        response.connection = self
        return response


class HttpSession(requests.Session):
    """Calls one URL. It follows no redirects and keeps no cookies."""

    endpoint: Endpoint
    target: str  # the target on the request line
    _url: str
    _own_headers: RequestHeaders

    def prepare_for(self, request: requests.PreparedRequest, settings: Mapping[str, Any], options: Options) -> None:
        """Prepares for requests like this one. Does not connect.

        Raises:
            ValueError: a proxy or a CA bundle that cannot be used.
        """
        adapter = _Adapter(request, settings, options)
        self.endpoint, self.target = adapter.endpoint, adapter.target
        self._url, self._own_headers = str(request.url), RequestHeaders(request.headers)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def make_request(self, body: bytes) -> requests.PreparedRequest:
        """A request with this body and its own copy of the headers, to which tools add.

        `PreparedRequest.copy` would also copy what is never used, such as cookies.
        """
        request = requests.PreparedRequest()
        headers: Any = self._own_headers.copy()
        headers["Content-Length"] = str(len(body))
        request.method, request.url, request.headers, request.body = "POST", self._url, headers, body
        return request

    def read_response(self, response: requests.Response) -> bytes:
        """The whole body. The body of a response made by a tool is read here, within the size limit.

        Raises what `read_body` raises.
        """
        if isinstance(response.raw, Response):
            return response.raw.body
        with response:
            return read_body(response.iter_content(CHUNK_SIZE), response.status_code, _BROKEN)

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Generator[requests.Response, None, None]:
        """Resolves none: `Session.send` would read a redirect's whole body just to note its target."""
        yield from ()
