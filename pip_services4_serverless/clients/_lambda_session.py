"""How a boto3 Lambda client is made. Imported when a client opens.

botocore's own session makes the same client class as boto3, without importing s3transfer and listing all services.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
from functools import cache, lru_cache
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.httpsession import URLLib3Session, get_cert_path
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies
from urllib3 import PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError
from urllib3.util import make_headers, parse_url

from .. import __version__
from .._context import CallContext
from ..connect import AwsConnectionParams
from ..connect._refusals import refusal, refuse
from ._answer import CHUNK, masked, pieces, read_whole
from ._aws_signature import Secrets, sign_by_ourselves
from ._connections import POOL_CLASSES, is_proxy
from ._deadline import current

ERRORS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError),
        "NO_CREDENTIALS",
    ),
    ((ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError), "CANNOT_CONNECT"),
    ((ReadTimeoutError,), "CALL_TIMEOUT"),
    ((ResponseParserError, UnicodeDecodeError, DecodeError), "DESERIALIZATION_FAILED"),
    ((HTTPClientError, ResponseStreamingError, IncompleteReadError, HTTPError, HTTPException, OSError), "NO_RESPONSE"),
    ((BotoCoreError,), "CALL_FAILED"),
)

_NO_RETRIES = Retry.from_int(False)  # urllib3 would make one of False on each call
_making = threading.Lock()  # making clients is not thread-safe
_ERROR_FIELDS = ("message", "Message", "__type", "code", "Code", "Type")


def open_lambda(
    context: CallContext, connection: AwsConnectionParams, connect_timeout: int, timeout: int, max_connections: int
) -> tuple[Any, Secrets]:
    """A client that tries once, and the secrets that it signs with. Timeouts in ms.

    Raises:
        ConfigException: `NO_CREDENTIALS`, `NO_REGION`, or `WRONG_URI` for what botocore does not take.
    """
    _hide_tokens()
    config = Config(
        connect_timeout=connect_timeout / 1000,
        read_timeout=timeout / 1000,
        max_pool_connections=max_connections,
        # This and not max_attempts: it beats AWS_MAX_ATTEMPTS too.
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        user_agent=f"pip-services4-serverless/{__version__} Botocore/{botocore.__version__}",
    )
    with _making:
        try:
            keys = _configured_keys(connection)
            session = _shared_session(len(BUILTIN_HANDLERS)) if keys and connection.get_region() else _new_session()
            region = connection.get_region() or session.get_config_variable("region")
            if not region:
                refuse(context, "NO_REGION", "connection.region", "is missing, and AWS's own settings name none")
            secrets = Secrets(Credentials(*keys)) if keys else _chain(context, session)
            client = session.create_client(
                "lambda", region, None, True, None, connection.get_endpoint(), *keys or (None, None, None), config
            )
            # Private: where it is another, the client keeps botocore's own session. Its timeouts bound each single read
            # and not the attempt, and a call costs a sixth more.
            endpoint: Any = getattr(client, "_endpoint", None)
            if isinstance(getattr(endpoint, "http_session", None), URLLib3Session):
                verify = session.get_config_variable("ca_bundle")
                endpoint.http_session = _HttpSession(client.meta.endpoint_url, verify, max_connections, secrets)
        except (BotoCoreError, ValueError) as err:
            message = f"AWS's client cannot be made: {type(err).__name__}: {err}"
            raise refusal(context, "WRONG_URI", "connection", message) from err
    sign_by_ourselves(client, secrets)
    return client, secrets


def _new_session() -> Any:
    session = botocore.session.Session(include_builtin_handlers=False)
    emitter = session.get_component("event_emitter")
    register = {None: emitter.register, REGISTER_FIRST: emitter.register_first, REGISTER_LAST: emitter.register_last}
    for event, handler, *when in BUILTIN_HANDLERS:
        # The others are for other services and for documents; each client would copy them all.
        if event.split(".")[1:2] in ([], ["*"], ["lambda"]) and not event.startswith("docs."):
            register[when[0] if when else None](event, handler)
    session.register_component("data_loader", _loader())  # it keeps the service descriptions, which take long to read
    session.register("before-parse.lambda.Invoke", _tame_error)
    return session


@lru_cache(maxsize=1)
def _shared_session(handlers: int) -> Any:  # noqa: ARG001 (a key of the cache)
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


def _configured_keys(connection: AwsConnectionParams) -> tuple[str, str, str | None] | None:
    access_id, access_key = connection.get_access_id(), connection.get_access_key()
    return (access_id, access_key, connection.get_session_token()) if access_id and access_key else None


def _chain(context: CallContext, session: Any) -> Secrets:
    """The keys that AWS's own chain finds."""
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            return Secrets(credentials)  # which loads what is loaded late, as a role's keys
    except Exception as err:  # a file or program that is not there, no JSON of it, a refusal of AWS's
        message = f"AWS's credential chain failed: {type(err).__name__}: {err}"
        raise refusal(context, "NO_CREDENTIALS", "credential", message) from err
    refuse(context, "NO_CREDENTIALS", "credential.access_id", "is missing, and AWS's credential chain found no keys")


class _Body(io.BytesIO):
    """A body that was read whole, as botocore wants to read it."""

    def stream(self) -> list[bytes]:
        return [self.read()]


class _HttpSession:
    """What the client sends through, in place of botocore's `URLLib3Session`: our connections, nothing looked up again
    on each call, and each answer, an error's too, read whole within the attempt's bounds of time and size."""

    def __init__(self, endpoint: str, verify: str | bool | None, max_connections: int, secrets: Secrets) -> None:
        self._secrets = secrets
        # As botocore does: proxies and CA bundle come from the environment.
        is_https = endpoint.startswith("https")
        proxy_url = get_environ_proxies(endpoint).get("https" if is_https else "http")
        if proxy_url and not is_proxy(proxy_url):
            raise ValueError("the environment's proxy is no URL of a host")
        bundle = str(get_cert_path(verify or os.environ.get("REQUESTS_CA_BUNDLE") or True))
        if not os.path.exists(bundle):
            raise ValueError(f"there is no CA bundle {bundle}")
        options: dict[str, Any] = {"maxsize": max_connections, "cert_reqs": "CERT_REQUIRED"}
        options["ca_cert_dir" if os.path.isdir(bundle) else "ca_certs"] = bundle
        self._manager = _proxy_manager(proxy_url, options) if proxy_url else PoolManager(**options)
        self._manager.pool_classes_by_scheme = POOL_CLASSES
        self._pool = self._manager.connection_from_url(endpoint)
        self._whole_url = proxy_url is not None and not is_https

    def send(self, request: Any) -> AWSResponse:
        """Sends once. Raises urllib3's exceptions as they are."""
        url, deadline = request.url, current()
        response = self._pool.urlopen(
            request.method,
            url if self._whole_url else url[url.index("/", len("https://")) :],
            request.body,
            dict(request.headers),  # urllib3 goes through them again and again; botocore's are slow to read
            retries=_NO_RETRIES,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            timeout=Timeout(deadline.connect_timeout, deadline.left()) if deadline else None,
        )
        try:
            chunks = response.stream(CHUNK, decode_content=True)
            body = read_whole(pieces(response, chunks), response.status, (ProtocolError, DecodeError))
        finally:
            response.close()  # it goes back to the pool if it was read to its end
        if response.status >= 300:  # botocore logs it, and takes an error's name from it
            body = masked(body, self._secrets)
        answer = AWSResponse(url, response.status, {}, _Body(body))
        answer.headers = response.headers  # urllib3's, which botocore's own copy of would only be slower
        # botocore would compare the length with that of the decoded body; urllib3 has checked it.
        answer.headers.discard("content-length")
        return answer

    def close(self) -> None:
        """Drops the connections; those in use when they are given back."""
        self._manager.clear()
        self._pool.close()  # the manager closes a pool when nobody holds it any more


def _proxy_manager(url: str, options: dict[str, Any]) -> ProxyManager:
    url = url if "://" in url else f"http://{url}"
    auth = parse_url(url).auth
    headers = make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return ProxyManager(url, proxy_headers=headers, **options)


def _tame_error(response_dict: dict[str, Any], **_: Any) -> None:
    """Leaves of an error's body what botocore's parser can take; it fails on all but JSON objects in UTF-8."""
    if response_dict["status_code"] < 300:
        return
    body = response_dict.get("body") or b""
    try:
        fields = json.loads(body)
        kept = {name: fields[name] for name in _ERROR_FIELDS if isinstance(fields.get(name), str)}
    except (ValueError, AttributeError, RecursionError):
        kept = {"message": body[:1000].decode("utf-8", "replace")}
    response_dict["body"] = json.dumps(kept).encode()


_TOKEN = re.compile(r"(x-amz-security-token['\"]?\s*[:,=]\s*b?['\"]?)[^\s'\",}]+", re.IGNORECASE)


def _without_token(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if "security-token" in message.lower():
        record.msg, record.args = _TOKEN.sub(r"\g<1>***", message), ()
    return True


@cache
def _hide_tokens() -> None:
    """botocore logs the session token at debug level."""
    for name in ("botocore.auth", "botocore.endpoint"):
        logging.getLogger(name).addFilter(_without_token)
