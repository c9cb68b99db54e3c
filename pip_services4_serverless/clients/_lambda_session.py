"""How a boto3 Lambda client is made. Imported when a client opens.

botocore's own session makes the same client class as boto3, without importing s3transfer and listing all services.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from functools import cache
from http.client import HTTPException
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from pip_services4_commons.errors import ConfigException
from urllib3.exceptions import HTTPError

from .._context import CallContext, trace_id_of
from ..connect import AwsConnectionParams
from ..connect._connection_params import refuse
from ._connections import POOL_CLASSES

ERRORS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError),
        "NO_CREDENTIALS",
    ),
    ((ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError), "CANNOT_CONNECT"),
    ((ReadTimeoutError,), "CALL_TIMEOUT"),
    ((ResponseParserError, UnicodeDecodeError), "DESERIALIZATION_FAILED"),
    ((HTTPClientError, ResponseStreamingError, HTTPError, HTTPException, OSError), "NO_RESPONSE"),
    ((BotoCoreError,), "CALL_FAILED"),
)

_making = threading.Lock()  # making clients is not thread-safe
_ERROR_FIELDS = ("message", "Message", "__type", "code", "Code", "Type")


def open_lambda(
    context: CallContext, connection: AwsConnectionParams, connect_timeout: int, timeout: int, max_connections: int
) -> tuple[Any, tuple[str, ...]]:
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
    )
    with _making:
        session = botocore.session.Session()
        # What takes the time is reading botocore's service descriptions.
        session.register_component("data_loader", _loader())
        try:
            region = connection.get_region() or session.get_config_variable("region")
            if not region:
                refuse(context, "NO_REGION", "connection.region", "is missing, and AWS's own settings name none")
            keys = _keys(context, session, connection)
            client = session.create_client(
                "lambda", region_name=region, endpoint_url=connection.get_endpoint(), config=config, **keys
            )
        except (BotoCoreError, ValueError) as err:
            message = f"connection: AWS's client cannot be made: {type(err).__name__}: {err}"
            raise ConfigException(trace_id_of(context), "WRONG_URI", message) from err
    client.meta.events.register_first("before-parse.lambda.Invoke", _tame_error)
    _use_deadlines(client)
    credentials = client._request_signer._credentials.get_frozen_credentials()
    return client, tuple(filter(None, (credentials.secret_key, credentials.token)))


@cache
def _loader() -> Loader:
    return create_loader()


def _keys(context: CallContext, session: Any, connection: AwsConnectionParams) -> dict[str, Any]:
    """The configured keys; none where AWS's own chain has some."""
    access_id = connection.get_access_id()
    if access_id is not None:
        return {
            "aws_access_key_id": access_id,
            "aws_secret_access_key": connection.get_access_key(),
            "aws_session_token": connection.get_session_token(),
        }
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            credentials.get_frozen_credentials()  # loads what is loaded late, as a role's keys
            return {}
    except BotoCoreError as err:
        message = f"credential: AWS's credential chain failed: {type(err).__name__}: {err}"
        raise ConfigException(trace_id_of(context), "NO_CREDENTIALS", message) from err
    refuse(context, "NO_CREDENTIALS", "credential.access_id", "is missing, and AWS's credential chain found no keys")


def _use_deadlines(client: Any) -> None:
    """Puts our connections under the client. Its HTTP session is private: where it is another, it is left as it is,
    and an attempt is bounded by botocore's own timeouts, which each single read may use up."""
    http_session: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
    manager: Any = getattr(http_session, "_manager", None)
    if hasattr(manager, "pool_classes_by_scheme") and hasattr(http_session, "_pool_classes_by_scheme"):
        http_session._pool_classes_by_scheme = manager.pool_classes_by_scheme = POOL_CLASSES


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
