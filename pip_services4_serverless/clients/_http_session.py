"""The session of requests through which an HTTP client calls its function. Imported when a client opens.

A call passes through the unchanged `Session.send` and `HTTPAdapter.send`, because tools replace these two. On each call
they get the pool, the certificates, the target and the response from the adapter, which has prepared them at `open`.
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

# If a tool has made the response, reading its body raises these if it is incomplete or cannot be decompressed.
_BODY_ERRORS = (ChunkedEncodingError, ContentDecodingError)


class _Adapter(HTTPAdapter):
    """Sends requests for one URL through the pool of this package. Other URLs are handled by requests."""

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
        """Like the method of requests, but without cookies and the text encoding, which no client reads."""
        if req.url != self._url:
            return super().build_response(req, resp)
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers  # they are case-insensitive, like those of requests
        response.raw = resp
        response.reason = resp.reason
        response.url = self._url
        response.request = req
        response.connection = self
        return response


class HttpSession(requests.Session):
    """Sends requests for one URL. It does not follow redirects, and does not store cookies."""

    endpoint: Endpoint
    target: str  # of the request line
    _url: str
    _prepared_headers: RequestHeaders

    def prepare_for(self, request: requests.PreparedRequest, settings: Mapping[str, Any], options: Options) -> None:
        """Prepares the session to send requests like this one. It does not connect.

        Args:
            request: a request with the URL and the headers.
            settings: proxies and verification, from `merge_environment_settings`.
            options: the options of the client.

        Raises:
            ValueError: the proxy or the CA bundle cannot be used.
        """
        adapter = _Adapter(request, settings, options)
        self.endpoint, self.target = adapter.endpoint, adapter.target
        self._url, self._prepared_headers = str(request.url), RequestHeaders(request.headers)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def make_request(self, body: bytes) -> requests.PreparedRequest:
        """A request with this body. It has its own copy of the headers, because tools add headers to a request.

        It is not made by `PreparedRequest.copy`, which also copies unused fields such as cookies.
        """
        request = requests.PreparedRequest()
        headers: Any = self._prepared_headers.copy()
        headers["Content-Length"] = str(len(body))
        request.method, request.url, request.headers, request.body = "POST", self._url, headers, body
        return request

    def read_response(self, response: requests.Response) -> bytes:
        """The whole body of a response. If a tool has made the response, its body is read here, up to the size limit.

        Raises the exceptions of `read_body`.
        """
        if isinstance(response.raw, Response):
            return response.raw.body
        with response:
            return read_body(response.iter_content(CHUNK_SIZE), response.status_code, _BODY_ERRORS)

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Generator[requests.Response, None, None]:
        """Resolves no redirects. The inherited method would make `Session.send` read the whole body of a redirect."""
        yield from ()
