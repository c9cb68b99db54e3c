from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from .._context import CallContext
from .._rules.options import Options
from .._rules.response import FunctionResponse
from .._tracebacks import hide_failures
from .._wire.errors import NotSentError
from ..connect._config_errors import config_error
from ._failures import requests_errors
from ._serverless_client import ServerlessClient
from ._transport import Transport
from .function_client import FunctionClient

if TYPE_CHECKING:
    from typing import Unpack

    import requests
    from urllib3 import Timeout

    from .._rules.secrets import Secrets
    from ._http_session import HttpSession
    from ._identity import Identity
    from .call_options import CallOptions

__tracebackhide__ = hide_failures

_HEADERS = {
    "User-Agent": f"pip-services4-serverless/{__version__}",
    "Accept-Encoding": "gzip, deflate",
    "Content-Type": "application/json",
}


class Secret(str):
    """The value of a header, whose `repr` is masked, because tracebacks may print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class _Handle(NamedTuple):
    session: HttpSession
    settings: Mapping[str, Any]  # proxies, verification and client certificate, found when the client was opened
    connect_timeout: float  # seconds
    timeout: float  # seconds of an attempt, unless the call has another timeout or little time left
    timeouts: Timeout  # of such an attempt
    identity: Identity | None  # its token is sent with each attempt; a static key is in the headers of each request

    def __repr__(self) -> str:
        return f"_Handle({self.session!r})"  # without the settings: the URL of a proxy may contain a password


class HttpClient(ServerlessClient):
    """What all clients share that call a function by a POST request to its URL.

    A provider adds the parameters of its connection, and the header for its key.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._headers: dict[str, str] = {}
        self._uri: str | None = None

    @abstractmethod
    def _open_http(
        self,
        context: CallContext,
        options: Options,
        uri: str,
        key_header: str,
        key: str | None,
        identity: Identity | None = None,
    ) -> Transport:
        """Prepares to send requests to a URL. Does not connect.

        Args:
            context: for errors.
            options: the options of the client.
            uri: the function's URL.
            key_header: the header for the key.
            key: sent with each request, unless it is None or empty.
            identity: its token is sent with each attempt.

        Raises:
            ConfigException: `WRONG_URI`.
        """

    def _prepare(
        self, context: CallContext, options: Options, uri: str, key_header: str, key: str | None, has_token: bool
    ) -> tuple[HttpSession, requests.PreparedRequest, Mapping[str, Any]]:
        """The session, a request with the URL and the headers, and the environment's settings for it."""
        import requests

        from .._wire.request import request_head
        from ._http_session import HttpSession

        session = HttpSession()
        try:
            session.headers.clear()
            session.headers.update(_HEADERS)
            session.headers.update(self._headers)
            if has_token:
                session.headers.pop("Authorization", None)  # a subclass may have set it in `_headers`
            if key:
                session.headers[key_header] = Secret(key)
            # Prepared without the session, which would search a .netrc file for credentials.
            request = requests.Request("POST", uri, headers=dict(session.headers), data=b"{}").prepare()
            settings = session.merge_environment_settings(request.url, {}, True, None, None)
            session.prepare_for(request, settings, options)
            # Raises for a header with which each call would fail.
            request_head(session.endpoint, "POST", session.target, request.headers, 0)
        except (requests.RequestException, ValueError, OSError) as err:
            session.close()
            is_header = isinstance(err, requests.exceptions.InvalidHeader | UnicodeEncodeError | NotSentError)
            setting = "_headers" if is_header else "connection.uri"
            message = f"cannot be used in a request: {type(err).__name__}: {err}"
            raise config_error(context, "WRONG_URI", setting, message) from err
        self._uri = uri
        return session, request, settings

    def _secrets(self, uri: str, key: str | None, identity: Identity | None = None) -> Secrets:
        """The secrets of the requests. From now on, they are masked in the logs of the libraries."""
        from ..connect._connection_params import secrets_in_query
        from ._log_filter import mask_keys_in_logs  # imported late, together with `logging`

        in_query = secrets_in_query(uri)
        return identity.secrets.with_static(*in_query) if identity else mask_keys_in_logs(key, *in_query)


class HttpFunctionClient(HttpClient, FunctionClient):
    """The blocking client. It sends with `requests.Session.send`."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._client: requests.Session | None = None

    def _open_http(
        self,
        context: CallContext,
        options: Options,
        uri: str,
        key_header: str,
        key: str | None,
        identity: Identity | None = None,
    ) -> Transport:
        from urllib3 import Timeout

        session, _, settings = self._prepare(context, options, uri, key_header, key, identity is not None)
        self._client = session
        connect_timeout, timeout = options.connect_timeout / 1000, options.timeout / 1000
        timeouts = Timeout(connect=min(connect_timeout, timeout), read=timeout)
        handle = _Handle(session, settings, connect_timeout, timeout, timeouts, identity)
        return Transport(handle, uri, self._secrets(uri, key, identity), requests_errors())

    def _close_transport(self, transport: Transport) -> None:
        transport.handle.session.close()
        if transport.handle.identity is not None:
            transport.handle.identity.close()
        self._client = self._uri = None

    def _invoke(
        self, cmd: str, context: CallContext, args: Mapping[str, Any] | None, **options: Unpack[CallOptions]
    ) -> Any:
        """Invokes the function and returns the decoded result.

        The arguments and errors are those of `FunctionClient.call`.
        """
        return self._execute(cmd, context, args, False, options)

    def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action and returns its decoded result.

        The arguments and errors are those of `FunctionClient.call`.
        """
        return self._invoke(cmd, context, params, **options) if options else self._invoke(cmd, context, params)

    def _send(self, transport: Transport, payload: bytes, one_way: bool, timeout: float) -> FunctionResponse:
        session, settings, connect_timeout, usual_timeout, timeouts, identity = transport.handle
        request = session.make_request(payload)
        if identity is not None:
            timeout = identity.authorize(request.headers, timeout)
        if timeout != usual_timeout:
            timeouts = min(connect_timeout, timeout), timeout
        response = session.send(request, allow_redirects=False, timeout=timeouts, **settings)
        result = FunctionResponse(response.status_code, response.headers, session.read_response(response))
        return result if identity is None else identity.check_token(result, request.headers["Authorization"])
