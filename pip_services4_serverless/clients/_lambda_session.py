"""Makes boto3 clients for AWS Lambda, and calls them. This module is imported when a client opens.

The clients are made by a session of botocore, which is faster than one of boto3: boto3 imports s3transfer and lists all
services. Both sessions make the same class of clients.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache, lru_cache
from time import monotonic
from typing import Any, NamedTuple, Self

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.httpsession import URLLib3Session, get_cert_path
from botocore.loaders import Loader
from botocore.utils import get_environ_proxies

from .. import __version__
from .._context import CallContext
from .._locks import ForkLock
from .._rules.interrupts import is_interrupt
from .._rules.options import Options
from .._rules.response import CHUNK_SIZE, FunctionResponse, read_body
from .._rules.secrets import mask_error_body
from .._tracebacks import hide_failures
from .._wire.connection_pool import ConnectionPool
from .._wire.endpoint import Endpoint
from .._wire.response import Response
from ..connect import AwsConnectionParams
from ..connect._config_errors import config_error
from ..connect.aws_connection_params import check_endpoint
from ._aws_signature import LIBRARY_ERRORS, LIBRARY_FOLDERS, AwsSecrets, Signer
from ._log_filter import mask_in_logs
from ._transport import pool_limits

__tracebackhide__ = hide_failures

_ERROR_FIELDS = ("message", "Message", "__type", "code", "Code", "Type")
# botocore's `create_client` is not thread-safe, and creates a TLS context.
_client_lock = ForkLock()


class OpenedLambda(NamedTuple):
    """A boto3 client, and the settings that were found when it was made."""

    client: Any  # of boto3
    secrets: AwsSecrets
    signer: Signer
    endpoint: Endpoint


def open_lambda(context: CallContext, connection: AwsConnectionParams, options: Options) -> OpenedLambda:
    """Makes a boto3 client that does not retry, its signer and its endpoint.

    Raises:
        ConfigException: `NO_CREDENTIALS`, `NO_REGION`, or `WRONG_URI` if botocore rejects the settings, or
            `WRONG_PROTOCOL`.
    """
    mask_in_logs()  # AWS's chain may log keys before this function receives them
    config = Config(
        connect_timeout=options.connect_timeout / 1000,
        read_timeout=options.timeout / 1000,
        max_pool_connections=options.max_connections,
        # Unlike `max_attempts`, this also takes precedence over the environment variable AWS_MAX_ATTEMPTS.
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        user_agent=f"pip-services4-serverless/{__version__} Botocore/{botocore.__version__}",
    )
    with _client_lock.own:
        try:
            keys = _configured_keys(connection)
            session = _shared_session(tuple(BUILTIN_HANDLERS)) if keys and connection.get_region() else _new_session()
            region = connection.get_region() or session.get_config_variable("region")
            if not region:
                message = "is missing, and AWS's own settings contain no region"
                raise config_error(context, "NO_REGION", "connection.region", message)
            secrets = AwsSecrets(Credentials(*keys)) if keys else _find_keys(context, session)
            # Not left to botocore, which would use an empty environment variable as the path of a bundle.
            verify = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
            client = session.create_client(
                "lambda", region, None, True, verify, connection.get_endpoint(), *keys or (None, None, None), config
            )
            if connection.get_endpoint() is None:  # boto3 may have found it in the environment or in AWS's own settings
                check_endpoint(context, "AWS_ENDPOINT_URL", client.meta.endpoint_url)
            endpoint = _endpoint(client.meta.endpoint_url, verify, _keepalive(session, options))
        except (BotoCoreError, ValueError, TypeError, AttributeError) as err:  # AWS's settings may have wrong types
            message = f"cannot be used to make a boto3 client: {type(err).__name__}: {err}"
            raise config_error(context, "WRONG_URI", "connection", message) from err
    mask_in_logs(secrets)
    return OpenedLambda(client, secrets, Signer(client.meta.region_name, secrets), endpoint)


def use_own_connections(opened: OpenedLambda, options: Options) -> None:
    """Makes a boto3 client sign with the signer of this package, and send through its connections."""
    opened.signer.sign_calls_of(opened.client)
    # These attributes are not public. If a version of botocore does not have them, the client keeps botocore's session:
    # then its timeouts limit each read and not the whole attempt, and a call takes longer.
    endpoint: Any = getattr(opened.client, "_endpoint", None)
    if isinstance(getattr(endpoint, "http_session", None), URLLib3Session):
        endpoint.http_session = _HttpSession(opened.endpoint, options, opened.secrets)


def _endpoint(url: str, verify: str | bool, keepalive: float) -> Endpoint:
    """The endpoint of a URL, with the proxy of the environment.

    Raises:
        ValueError: the proxy or the CA bundle cannot be used.
    """
    proxy = get_environ_proxies(url).get(url.partition(":")[0])
    bundle = str(get_cert_path(verify))
    if not os.path.exists(bundle):
        raise ValueError(f"the CA bundle does not exist: {bundle}")
    return Endpoint.from_url(url, bundle, proxy, keepalive)


def _new_session() -> Any:
    session = botocore.session.Session(include_builtin_handlers=False)
    emitter = session.get_component("event_emitter")
    register = {None: emitter.register, REGISTER_FIRST: emitter.register_first, REGISTER_LAST: emitter.register_last}
    for event, handler, *when in BUILTIN_HANDLERS:
        # Handlers for other services and for documentation are left out, because each client would copy them.
        if event.split(".")[1:2] in ([], ["*"], ["lambda"]) and not event.startswith("docs."):
            register[when[0] if when else None](event, handler)
    session.register_component("data_loader", _loader())  # shared, because it caches descriptions that are slow to read
    session.register("before-parse.lambda.Invoke", _make_error_parsable)
    return session


@lru_cache(maxsize=1)
def _shared_session(handlers: tuple[Any, ...]) -> Any:  # noqa: ARG001 (a key of the cache)
    """One session for all clients whose keys and region are configured, because making a session is slow.

    Other clients need a new session, which reads the environment when they open. If a tool such as moto has changed the
    handlers of new sessions, a new session is made here, too.
    """
    return _new_session()


class _Loader(Loader):
    """Lists the available services by the names of their folders.

    botocore's loader reads the folders of all services, twice, to find those with a description. That takes a third of
    the time of the first `open`.
    """

    def list_available_services(self, type_name: str) -> list[str]:
        return [name for path in self.search_paths if os.path.isdir(path) for name in os.listdir(path)]


@cache
def _loader() -> Loader:
    return _Loader()


def _keepalive(session: Any, options: Options) -> float:
    """The interval of TCP keep-alive probes in seconds, or 0 for none.

    If `tcp_keepalive` is set in AWS's own configuration file, it decides whether there are probes.
    """
    setting = str(session.get_scoped_config().get("tcp_keepalive", "")).lower()
    if setting == "true":
        return (options.tcp_keepalive or Options.tcp_keepalive) / 1000
    return 0 if setting == "false" else options.tcp_keepalive / 1000


def _configured_keys(connection: AwsConnectionParams) -> tuple[str, str, str | None] | None:
    access_id, access_key = connection.get_access_id(), connection.get_access_key()
    return (access_id, access_key, connection.get_session_token()) if access_id and access_key else None


def _find_keys(context: CallContext, session: Any) -> AwsSecrets:
    """The keys that AWS's own credential chain finds.

    Raises:
        ConfigException: `NO_CREDENTIALS`.
    """
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            # This also loads keys that botocore loads on first use, such as those of a role.
            return AwsSecrets(credentials, lambda: _new_session().get_credentials())
    except Exception as err:  # for example a missing file or program, invalid JSON, an error response of AWS
        if is_interrupt(err, LIBRARY_FOLDERS, LIBRARY_ERRORS):
            raise
        message = f"AWS's credential chain failed: {type(err).__name__}: {err}"
        raise config_error(context, "NO_CREDENTIALS", "credential", message) from err
    message = "is missing, and AWS's credential chain found no keys"
    raise config_error(context, "NO_CREDENTIALS", "credential.access_id", message)


class Body(bytes):
    """A payload with the deadline of its attempt. botocore passes this object unchanged to `_HttpSession`.

    If a tool replaces the payload, as OpenTelemetry's extension for Lambda does, the deadline is lost, and the timeout
    of the attempt is `options.timeout`.
    """

    deadline: float  # a time of `time.monotonic`, in seconds

    def __new__(cls, payload: bytes, timeout: float) -> Self:
        body = super().__new__(cls, payload)
        body.deadline = monotonic() + timeout
        return body


class _HttpSession:
    """Replaces botocore's `URLLib3Session` in a client. It sends through this package's connections.

    Each response, also one with an error status, is read completely within the limits of time and size.
    """

    def __init__(self, endpoint: Endpoint, options: Options, secrets: AwsSecrets) -> None:
        self._secrets = secrets
        self._sends_whole_url = endpoint.sends_whole_url
        self._pool = ConnectionPool(endpoint, pool_limits(options))

    def send(self, request: Any) -> AWSResponse:
        """Sends a botocore `AWSPreparedRequest` once. Raises `WireError`."""
        url, body = request.url, request.body or b""
        target = url if self._sends_whole_url else url[url.index("/", len("https://")) :]
        timeout = body.deadline - monotonic() if isinstance(body, Body) else None
        # botocore prepares most values as bytes.
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        headers.setdefault("Accept-Encoding", "identity")
        response = self._pool.request(request.method, target, headers, body, timeout)
        if response.status >= 300:  # botocore logs this body, and reads the name of the error from it
            response.body = mask_error_body(response.body, self._secrets)
        result = AWSResponse(url, response.status, {}, response)
        result.headers = response.headers  # not passed to the constructor, because botocore would copy them
        # botocore compares Content-Length with the length of the body. They differ if the body was decompressed, or if
        # a 204 has a Content-Length.
        if response.headers.get("content-length", "") != str(len(response.body)):
            result.headers = response.headers.without("content-length")
        return result

    def close(self) -> None:
        """Closes the idle connections immediately. Connections in use are closed after their exchange."""
        self._pool.close()


def invoke(client: Any, function: Mapping[str, str], payload: bytes, one_way: bool, timeout: float) -> FunctionResponse:
    """Calls boto3's `invoke` once, and reads the whole response.

    Args:
        client: a boto3 client.
        function: the keywords of boto3's `invoke` that identify the function.
        payload: the payload.
        one_way: whether Lambda runs the function later.
        timeout: seconds for the whole attempt.

    Raises one of the exceptions in `botocore_errors` if there is no whole response.
    """
    try:
        data = client.invoke(
            **function,
            InvocationType="Event" if one_way else "RequestResponse",
            Payload=Body(payload, timeout),
        )
    except ClientError as err:
        error, metadata = err.response.get("Error", {}), err.response.get("ResponseMetadata", {})
        status, message = metadata.get("HTTPStatusCode", 500), str(error.get("Message") or "")
        name = str(error.get("Code") or "")  # the status as a string, if the response contains no name
        headers = metadata.get("HTTPHeaders", {})
        body = message.encode("utf-8", "surrogatepass")  # JSON can contain lone surrogates
        return FunctionResponse(status, headers, body, "" if name.isdigit() else name)
    status, failed = data.get("StatusCode", 200), data.get("FunctionError") is not None
    body, stream = b"", data.get("Payload")
    if stream is not None and (failed or not one_way):
        # botocore checks the length of the body only if the body is read to its end.
        body = read_body(iter(lambda: stream.read(CHUNK_SIZE), b""), status, (IncompleteReadError,))
    return FunctionResponse(status, {}, body, function_failed=failed)


def function_response(response: Response, one_way: bool, secrets: AwsSecrets) -> FunctionResponse:
    """Interprets a response like botocore, for calls without botocore."""
    status, headers, body = response.status, response.headers, response.body
    if status < 300:
        failed = "x-amz-function-error" in headers
        return FunctionResponse(status, {}, b"" if one_way and not failed else body, function_failed=failed)
    fields = _error_fields(mask_error_body(body, secrets))
    name = headers.get("x-amzn-errortype") or fields.get("code") or fields.get("Code") or fields.get("__type") or ""
    name = name.partition(":")[0].rpartition("#")[2]
    message = fields.get("message", fields.get("Message", ""))
    body = message.encode("utf-8", "surrogatepass")
    return FunctionResponse(status, headers, body, "" if name.isdigit() else name)


def _make_error_parsable(response_dict: dict[str, Any], **_: Any) -> None:
    """Rewrites the body of an error response, because botocore's parser fails unless it is a JSON object in UTF-8."""
    if response_dict["status_code"] >= 300:
        response_dict["body"] = json.dumps(_error_fields(response_dict.get("body") or b"")).encode()


def _error_fields(body: bytes) -> dict[str, str]:
    """The known fields of an error body that are strings. If there is no message, `message` is the body itself."""
    known: dict[str, str] = {}
    is_explained: object = False
    try:
        fields = json.loads(body)
        known = {name: fields[name] for name in _ERROR_FIELDS if isinstance(fields.get(name), str)}
        is_explained = known.get("message") or known.get("Message") or fields.keys() <= known.keys()
    except (ValueError, AttributeError, RecursionError):  # not a JSON object
        pass
    if not is_explained:  # for example `{"error": "why"}`, or plain text
        known["message"] = body[:1000].decode("utf-8", "replace")
    return known
