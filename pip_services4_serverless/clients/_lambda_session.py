"""How a boto3 Lambda client is made. Imported when a client opens.

botocore's own session makes the same client class as boto3, without importing s3transfer and listing all services.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache, partial
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
from .._rules.interrupts import is_interrupt
from .._rules.options import Options
from .._rules.response import CHUNK_SIZE, FunctionResponse, read_body
from .._rules.secrets import mask_bytes
from .._tracebacks import hide_failures
from .._wire.connection_pool import ConnectionPool
from .._wire.endpoint import Endpoint
from .._wire.response import Response
from ..connect import AwsConnectionParams
from ..connect._config_errors import config_error
from ._aws_signature import LIBRARIES, RAISED, Secrets, Signer
from ._log_filter import hide_in_logs
from ._transport import pool_limits

__tracebackhide__ = hide_failures

_making = threading.RLock()  # making clients is not thread-safe
_FORK_PATIENCE = 10  # seconds that a fork waits for a client that another thread makes
_ERROR_FIELDS = ("message", "Message", "__type", "code", "Code", "Type")


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):  # the fork waited in vain
        _making.release()


def _after_fork_in_child() -> None:
    global _making
    _making = threading.RLock()


if hasattr(os, "register_at_fork"):
    # botocore makes a TLS context for each client. A lock of OpenSSL that another thread holds at the fork stays locked
    # in the child, which would then wait for ever when it makes its first context.
    os.register_at_fork(
        before=partial(_making.acquire, timeout=_FORK_PATIENCE),
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


class OpenedLambda(NamedTuple):
    """What opening a Lambda client finds."""

    client: Any  # boto3's
    secrets: Secrets
    signer: Signer
    endpoint: Endpoint


def open_lambda(context: CallContext, connection: AwsConnectionParams, options: Options) -> OpenedLambda:
    """Makes a boto3 client without retries, its signer and its endpoint.

    Raises:
        ConfigException: `NO_CREDENTIALS`, `NO_REGION`, or `WRONG_URI` if botocore rejects the settings.
    """
    hide_in_logs()  # the chain's too, before its keys are known
    config = Config(
        connect_timeout=options.connect_timeout / 1000,
        read_timeout=options.timeout / 1000,
        max_pool_connections=options.max_connections,
        # This and not max_attempts: it beats AWS_MAX_ATTEMPTS too.
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        user_agent=f"pip-services4-serverless/{__version__} Botocore/{botocore.__version__}",
    )
    with _making:
        try:
            keys = _configured_keys(connection)
            session = _shared_session(tuple(BUILTIN_HANDLERS)) if keys and connection.get_region() else _new_session()
            region = connection.get_region() or session.get_config_variable("region")
            if not region:
                raise config_error(context, "NO_REGION", "connection.region", "is missing, also in AWS's own settings")
            secrets = Secrets(Credentials(*keys)) if keys else _chain(context, session)
            # Looked up here: botocore takes an empty variable for a bundle that is not there.
            verify = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
            client = session.create_client(
                "lambda", region, None, True, verify, connection.get_endpoint(), *keys or (None, None, None), config
            )
            endpoint = _endpoint(client.meta.endpoint_url, verify, _keepalive(session, options))
        except (BotoCoreError, ValueError) as err:
            message = f"AWS's client cannot be made: {type(err).__name__}: {err}"
            raise config_error(context, "WRONG_URI", "connection", message) from err
    hide_in_logs(secrets)
    return OpenedLambda(client, secrets, Signer(client.meta.region_name, secrets), endpoint)


def send_by(opened: OpenedLambda, options: Options) -> None:
    """Makes boto3's client sign with our signer and send through our connections."""
    opened.signer.take_over(opened.client)
    # Private: where it is another, the client keeps botocore's own session. Its timeouts bound each single read and not
    # the attempt, and a call costs more.
    endpoint: Any = getattr(opened.client, "_endpoint", None)
    if isinstance(getattr(endpoint, "http_session", None), URLLib3Session):
        endpoint.http_session = _HttpSession(opened.endpoint, options, opened.secrets)


def _endpoint(url: str, verify: str | bool, keepalive: float) -> Endpoint:
    """Raises `ValueError` for a proxy or a CA bundle that cannot be used."""
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
        # The others are for other services and for documents; each client would copy them all.
        if event.split(".")[1:2] in ([], ["*"], ["lambda"]) and not event.startswith("docs."):
            register[when[0] if when else None](event, handler)
    session.register_component("data_loader", _loader())  # it keeps the service descriptions, which take long to read
    session.register("before-parse.lambda.Invoke", _make_error_parsable)
    return session


@lru_cache(maxsize=1)
def _shared_session(handlers: tuple[Any, ...]) -> Any:  # noqa: ARG001 (a key of the cache)
    """One for all clients whose keys and region are configured: making one takes as long as making a client. Not for
    the others, which must find the environment as it is when they open. A new one when a tool, as moto, has added a
    handler for all sessions to come."""
    return _new_session()


class _Loader(Loader):
    """Takes a service's folder for its description: to see that there is one, the stock loader looks into the folders
    of all services, twice, which takes a third of the time of the first opening."""

    def list_available_services(self, type_name: str) -> list[str]:
        return [name for path in self.search_paths if os.path.isdir(path) for name in os.listdir(path)]


@cache
def _loader() -> Loader:
    return _Loader()


def _keepalive(session: Any, options: Options) -> float:
    """Seconds. AWS's own `tcp_keepalive` decides whether there is any, where it is set; our option says how often."""
    setting = str(session.get_scoped_config().get("tcp_keepalive", "")).lower()
    if setting == "true":
        return (options.tcp_keepalive or Options.tcp_keepalive) / 1000
    return 0 if setting == "false" else options.tcp_keepalive / 1000


def _configured_keys(connection: AwsConnectionParams) -> tuple[str, str, str | None] | None:
    access_id, access_key = connection.get_access_id(), connection.get_access_key()
    return (access_id, access_key, connection.get_session_token()) if access_id and access_key else None


def _chain(context: CallContext, session: Any) -> Secrets:
    """The keys that AWS's own chain finds."""
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            return Secrets(credentials)  # which loads what is loaded late, as a role's keys
    except Exception as err:  # a missing file or program, invalid JSON, an error of AWS
        if is_interrupt(err, LIBRARIES, RAISED):
            raise
        message = f"AWS's credential chain failed: {type(err).__name__}: {err}"
        raise config_error(context, "NO_CREDENTIALS", "credential", message) from err
    message = "is missing, and AWS's credential chain found no keys"
    raise config_error(context, "NO_CREDENTIALS", "credential.access_id", message)


class Body(bytes):
    """A payload that brings the time of its attempt along: botocore hands it unchanged to the session below.

    A tool that makes another payload of it, as OpenTelemetry's extension for Lambda does, leaves the attempt the whole
    of `options.timeout`.
    """

    deadline: float

    def __new__(cls, payload: bytes, timeout: float) -> Self:
        body = super().__new__(cls, payload)
        body.deadline = monotonic() + timeout
        return body


class _HttpSession:
    """What the client sends through, in place of botocore's `URLLib3Session`: our connections, and each response, an
    error's too, read whole within the attempt's bounds of time and size."""

    def __init__(self, endpoint: Endpoint, options: Options, secrets: Secrets) -> None:
        self._secrets = secrets
        self._sends_whole_url = endpoint.sends_whole_url
        self._pool = ConnectionPool(endpoint, pool_limits(options))

    def send(self, request: Any) -> AWSResponse:
        """Sends once. Raises the wire's exceptions as they are."""
        url, body = request.url, request.body or b""
        target = url if self._sends_whole_url else url[url.index("/", len("https://")) :]
        timeout = body.deadline - monotonic() if isinstance(body, Body) else None
        headers = dict(request.headers)
        headers.setdefault("Accept-Encoding", "identity")
        response = self._pool.request(request.method, target, headers, body, timeout)
        if response.status >= 300:  # botocore logs it, and takes an error's name from it
            response.body = mask_bytes(response.body, self._secrets)
        result = AWSResponse(url, response.status, {}, response)
        result.headers = response.headers  # not as an argument, which botocore would copy
        # botocore compares it with that of the decoded body, and of a 204 that says that it has one.
        if response.headers.get("content-length", "") != str(len(response.body)):
            result.headers = response.headers.without("content-length")
        return result

    def close(self) -> None:
        """Drops the connections; those in use when they are given back."""
        self._pool.close()


def invoke(client: Any, function: Mapping[str, str], payload: bytes, one_way: bool, timeout: float) -> FunctionResponse:
    """Calls boto3's `invoke` once, and reads the response whole.

    Raises what `failures_of_botocore` lists when there is none.
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
        name = str(error.get("Code") or "")  # the status again, if the response names no error
        headers = metadata.get("HTTPHeaders", {})
        body = message.encode("utf-8", "surrogatepass")  # JSON may write half a pair of surrogates
        return FunctionResponse(status, headers, body, "" if name.isdigit() else name)
    status, failed = data.get("StatusCode", 200), bool(data.get("FunctionError"))
    body, stream = b"", data.get("Payload")
    if stream is not None and (failed or not one_way):
        # Reading on to its end is what makes botocore check the length.
        body = read_body(iter(lambda: stream.read(CHUNK_SIZE), b""), status, (IncompleteReadError,))
    return FunctionResponse(status, {}, body, function_failed=failed)


def function_response(response: Response, one_way: bool, secrets: Secrets) -> FunctionResponse:
    """Reads a response as botocore would, for calls without botocore."""
    status, headers, body = response.status, response.headers, response.body
    if status < 300:
        failed = "x-amz-function-error" in headers
        return FunctionResponse(status, {}, b"" if one_way and not failed else body, function_failed=failed)
    fields = _error_fields(mask_bytes(body, secrets))
    name = headers.get("x-amzn-errortype") or fields.get("code") or fields.get("Code") or fields.get("__type") or ""
    name = name.partition(":")[0].rpartition("#")[2]
    message = fields.get("message", fields.get("Message", ""))
    body = message.encode("utf-8", "surrogatepass")
    return FunctionResponse(status, headers, body, "" if name.isdigit() else name)


def _make_error_parsable(response_dict: dict[str, Any], **_: Any) -> None:
    """Leaves of an error's body what botocore's parser can take; it fails on all but JSON objects in UTF-8."""
    if response_dict["status_code"] >= 300:
        response_dict["body"] = json.dumps(_error_fields(response_dict.get("body") or b"")).encode()


def _error_fields(body: bytes) -> dict[str, str]:
    """The texts of an error's body that have a meaning; in `message` the body as it is where none of them has."""
    kept: dict[str, str] = {}
    has_words: object = False
    try:
        fields = json.loads(body)
        kept = {name: fields[name] for name in _ERROR_FIELDS if isinstance(fields.get(name), str)}
        has_words = kept.get("message") or kept.get("Message") or fields.keys() <= kept.keys()
    except (ValueError, AttributeError, RecursionError):
        pass
    if not has_words:  # `{"error": "why"}`, or text
        kept["message"] = body[:1000].decode("utf-8", "replace")
    return kept
