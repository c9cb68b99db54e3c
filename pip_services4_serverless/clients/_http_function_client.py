from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from .._context import CallContext
from ..connect._refusals import refusal
from ._answer import CHUNK, pieces, read_whole
from ._deadline import Deadline
from ._transport import Answer, Transport
from .function_client import FunctionClient

if TYPE_CHECKING:
    import requests

_HEADERS = {
    "User-Agent": f"pip-services4-serverless/{__version__}",
    "Accept-Encoding": "gzip, deflate",
    "Content-Type": "application/json",
}


class _Secret(str):
    """A header's value that does not show itself where locals are printed, as in tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class _Handle(NamedTuple):
    session: requests.Session
    request: requests.PreparedRequest  # all but the body
    settings: Mapping[str, Any]  # proxies, verification, certificate: found once
    broken: tuple[type[Exception], ...]  # what a body raises that breaks off


class HttpFunctionClient(FunctionClient):
    """A function that is called by a POST to its URL. A provider adds its connection and its key's header."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._client: requests.Session | None = None
        self._headers: dict[str, str] = {}
        self._uri: str | None = None

    def _open_http(self, context: CallContext, uri: str, key_header: str, key: str | None) -> Transport:
        """Prepares the request that each call copies. The key is sent only when there is one."""
        import requests
        from requests import exceptions
        from urllib3.exceptions import HTTPError, ProtocolError

        from ._http_session import HttpSession

        session = HttpSession(self._max_connections)
        try:
            session.headers.clear()
            session.headers.update(_HEADERS)
            session.headers.update(self._headers)
            if key:
                session.headers[key_header] = _Secret(key)
            for value in session.headers.values():
                str(value).encode("latin-1")  # what http.client would fail at on each call
            # Prepared by itself and not by the session, which would look for credentials in a .netrc.
            request = requests.Request("POST", uri, headers=dict(session.headers), data=b"{}").prepare()
            settings = session.merge_environment_settings(request.url, {}, True, None, None)
            session.settle(request, settings)
        except (requests.RequestException, HTTPError, ValueError, OSError) as err:
            session.close()
            key = "_headers" if isinstance(err, exceptions.InvalidHeader | UnicodeEncodeError) else "connection.uri"
            raise refusal(context, "WRONG_URI", key, f"cannot be sent to: {type(err).__name__}: {err}") from err
        self._client, self._uri = session, uri
        broken = (ProtocolError, exceptions.ChunkedEncodingError, exceptions.ContentDecodingError)
        return Transport(
            _Handle(session, request, settings, broken),
            uri,
            (key,) if key else (),
            (
                ((requests.ConnectTimeout,), "CANNOT_CONNECT"),
                ((requests.Timeout,), "CALL_TIMEOUT"),
                ((exceptions.ContentDecodingError,), "DESERIALIZATION_FAILED"),
                ((requests.RequestException, HTTPError, OSError), "NO_RESPONSE"),
            ),
        )

    def _close_transport(self, transport: Transport) -> None:
        transport.handle.session.close()
        self._client = self._uri = None

    def _send(self, transport: Transport, payload: bytes, one_way: bool, deadline: Deadline) -> Answer:
        session, prepared, settings, broken = transport.handle
        request = prepared.copy()
        request.body = payload
        request.headers["Content-Length"] = str(len(payload))
        timeouts = deadline.connect_timeout, deadline.left()
        with session.send(request, allow_redirects=False, timeout=timeouts, **settings) as response:
            body = read_whole(pieces(response.raw, response.iter_content(CHUNK)), response.status_code, broken)
        return Answer(response.status_code, response.headers, body)
