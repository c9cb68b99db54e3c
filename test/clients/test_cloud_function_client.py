"""What is specific to the Google client: its URL, its token, its limits, and the responses of Google's front ends."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    InvocationException,
    NotFoundException,
    UnauthorizedException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_observability.log import LogLevel
from support.clients import AUTH_TOKEN, BARE_CLIENTS, CLIENTS, KINDS, Kind, config_for, failure, open_client
from support.fault_server import FaultServer, Request, Step, respond
from support.recorders import RecordingLogger, references_to

from pip_services4_serverless.clients import CloudFunctionClient

GOOGLE = [kind for kind in KINDS if kind == "google"]


@pytest.fixture(params=GOOGLE, ids=lambda kind: kind.id)
def google(request: pytest.FixtureRequest) -> Kind:
    """The blocking and the asynchronous client."""
    kind: Kind = request.param
    return kind


def called(google: Kind, server: FaultServer, uri: str, *settings: str) -> Request:
    """The request of one call, as the server read it."""
    client = BARE_CLIENTS[google]()
    client.configure(ConfigParams.from_tuples("connection.uri", f"{server.url}{uri}", *settings))
    client.open("T")
    client._call("get", "T", {"id": "7"})
    client.close("T")
    return server.requests[-1]


# --- The request ---


@pytest.mark.parametrize("uri", ["", "/", "/orders", "/orders?a=1"])
def test_the_request_goes_to_the_configured_url(google: Kind, uri: str) -> None:
    """The client of pip-services adds its own URL and its timeouts to the query string."""
    with FaultServer() as server:
        request = called(google, server, uri, "options.timeout", "10000", "credential.auth_token", AUTH_TOKEN)

        assert (request.method, request.path) == ("POST", uri or "/")
        assert request.json() == {"id": "7", "cmd": "get", "trace_id": "T"}
        assert request.headers.get_all("content-length") == [str(len(request.body))]


@pytest.mark.parametrize("section", ["credential", "connection"])
def test_the_token_is_sent_in_its_header(google: Kind, section: str) -> None:
    """It may be configured in either section."""
    with FaultServer() as server:
        request = called(google, server, "/f", f"{section}.auth_token", AUTH_TOKEN)

        assert request.headers.get_all("authorization") == [f"Bearer {AUTH_TOKEN}"]


@pytest.mark.parametrize("settings", [(), ("credential.auth_token", "")], ids=["absent", "empty"])
def test_without_a_token_there_is_no_header(google: Kind, settings: tuple[str, ...]) -> None:
    """An empty header would be a wrong token."""
    with FaultServer() as server:
        assert "authorization" not in called(google, server, "/f", *settings).headers


def test_a_command_has_the_name_of_its_service(google: Kind) -> None:
    """The commandable client of pip-services sends the command alone, which its controllers do not find."""
    with FaultServer() as server, open_client(google, server.url) as client:
        client.call_command("get", "T")

        assert server.requests[0].json()["cmd"] == "dummies.get"


def test_the_url_is_made_of_project_region_and_function(google: Kind) -> None:
    """It is https unless another protocol is configured."""
    client = BARE_CLIENTS[google]()
    client.configure(
        {"connection": {"project_id": "my-shop", "region": "europe-west1", "function": "orders", "org_id": "7"}}
    )
    client.open("T")

    assert client._uri == "https://europe-west1-my-shop.cloudfunctions.net/orders"
    client.close("T")


def test_an_open_client_has_a_requests_session() -> None:
    """Tools that patch requests use it."""
    client = CloudFunctionClient()
    client.configure(config_for("google", "http://127.0.0.1:9"))
    client.open("T")
    assert isinstance(client._client, requests.Session)

    client.close("T")
    assert client._client is None


# --- Limits ---


def test_the_default_timeout_is_one_minute(google: Kind) -> None:
    """It is the default timeout of the function itself."""
    with open_client(google, "http://127.0.0.1:9") as client:
        assert client._timeout == 60_000
    with open_client(google, "http://127.0.0.1:9", timeout=5) as client:
        assert client._timeout == 5


def test_a_payload_over_the_limit_is_not_sent(google: Kind) -> None:
    """The limit of second-generation functions is 32 MiB."""
    with FaultServer() as server, open_client(google, server.url) as client:
        error = failure(client, params={"text": "x" * (32 << 20)})

        assert type(error) is BadRequestException
        assert (error.code, error.status, error.trace_id) == ("PAYLOAD_TOO_LARGE", 413, "T")
        assert "33554432" in error.message
        assert server.connections == 0


@pytest.mark.parametrize(("timeout", "warnings"), [(3_600_000, 0), (3_600_001, 1)])
def test_a_timeout_over_the_limit_of_google_logs_a_warning(google: Kind, timeout: int, warnings: int) -> None:
    """Google's front end ends each request after an hour."""
    logger = RecordingLogger()
    client = BARE_CLIENTS[google]()
    client.set_references(references_to(logger=logger))
    client.configure(config_for("google", "http://127.0.0.1:9", timeout=timeout))
    client.open("T")
    client.close("T")

    logged = logger.messages(LogLevel.Warn)
    assert len(logged) == warnings
    assert all("3600000 ms" in message for message in logged)


@pytest.mark.timing
def test_the_wait_does_not_depend_on_the_timeout(google: Kind) -> None:
    """The client of pip-services uses the timeout as the backoff factor: it waits 60 s after the first retry."""
    with FaultServer() as server, open_client(google, server.url, retries=2) as client:
        server.script(respond(429), respond(429))
        client._call("get", "T")

        times = [request.time for request in server.requests]
        assert len(times) == 3
        assert times[-1] - times[0] < 1


def test_close_closes_the_connections(google: Kind) -> None:
    """With the client of pip-services, `close` does nothing, and calls still work."""
    with FaultServer() as server, open_client(google, server.url) as client:
        client._call("get", "T")
        client.close("T")

        assert not client.is_open()
        assert failure(client).code == "NOT_OPENED"
        server.wait_for(closed=1)
        assert server.executions == 1


# --- Responses of Google's front ends ---


def html(status: int, title: str, text: str = "") -> Step:
    """A page of Google's front ends."""
    page = (
        '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{status} {title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: {title}</h1>\n"
        f"<h2>{text}</h2>\n<h2></h2>\n</body></html>\n"
    )
    return respond(status, page.encode(), content_type="text/html; charset=UTF-8")


def status_of(code: int, status: str, message: str, **of: Any) -> Step:
    """An error of Google's APIs."""
    return respond(code, {"error": {"code": code, "message": message, "status": status}}, **of)


EXHAUSTED = status_of(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Invocations'")
NO_INSTANCE = respond(429, b"Rate exceeded.", content_type="text/plain")
CRASHED = html(
    500, "Server Error", "The server encountered an error and could not complete your request.<p>Please try again"
)
CRASHED_IN_FRAMEWORK = respond(
    500, b"'order'", content_type="text/html; charset=utf-8", headers={"X-Google-Status": "crash"}
)
NOT_READY = respond(503, b"Service Unavailable", content_type="text/plain")
UNAVAILABLE = status_of(503, "UNAVAILABLE", "The service is currently unavailable", headers={"Retry-After": "0"})
MALFORMED = respond(
    503, b"upstream connect error or disconnect/reset before headers", content_type="text/plain; charset=utf-8"
)
TIMED_OUT = respond(504, b"upstream request timeout", content_type="text/plain")


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    ("step", "code", "status", "retried"),
    [
        (EXHAUSTED, "TOO_MANY_REQUESTS", 429, "always"),
        (NO_INSTANCE, "TOO_MANY_REQUESTS", 429, "always"),
        (UNAVAILABLE, "CALL_FAILED", 503, "always"),
        (NOT_READY, "CALL_FAILED", 503, "if idempotent"),
        (MALFORMED, "CALL_FAILED", 503, "if idempotent"),
        (CRASHED, "CALL_FAILED", 500, "if idempotent"),
        (CRASHED_IN_FRAMEWORK, "CALL_FAILED", 500, "if idempotent"),
        (TIMED_OUT, "CALL_FAILED", 504, "if idempotent"),
    ],
    ids=["quota", "no instance", "503 to retry", "503", "503 of a proxy", "crash", "exception", "timeout"],
)
def test_a_failure_of_google_is_retried_according_to_the_table(
    google: Kind, step: Step, code: str, status: int, retried: str, idempotent: bool
) -> None:
    """If an instance may have run the request, it is retried only when it is idempotent."""
    with FaultServer() as server, open_client(google, server.url, retries=1, idempotent=idempotent) as client:
        server.default = step
        error = failure(client)

        assert type(error) is InvocationException
        assert (error.code, error.status) == (code, status)
        assert len(server.requests) == (2 if retried == "always" or idempotent else 1)


@pytest.mark.parametrize(
    ("step", "exception", "code"),
    [
        (html(401, "Unauthorized", "Your client does not have permission"), UnauthorizedException, "UNAUTHORIZED"),
        (html(403, "Forbidden", "Your client does not have permission"), UnauthorizedException, "UNAUTHORIZED"),
        (html(404, "Page not found", "The requested URL was not found"), NotFoundException, "NOT_FOUND"),
        (status_of(400, "INVALID_ARGUMENT", "Bad"), BadRequestException, "BAD_REQUEST"),
        (html(413, "Request Entity Too Large"), BadRequestException, "PAYLOAD_TOO_LARGE"),
        (html(405, "Method Not Allowed"), InvocationException, "CALL_FAILED"),
        (respond(200, {"code": "NO_ACTION"}), None, ""),
    ],
    ids=["401", "403", "404", "400", "413", "405", "an error with 200"],
)
def test_the_status_decides_about_a_response_of_google(
    google: Kind, step: Step, exception: type[ApplicationException] | None, code: str
) -> None:
    """The body does not matter, and there is no retry."""
    with FaultServer() as server, open_client(google, server.url, idempotent=True) as client:
        server.default = step
        if exception is None:
            assert client._call("get", "T") == {"code": "NO_ACTION"}
        else:
            error = failure(client)
            assert (type(error), error.code) == (exception, code)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("has_token", "text"), [(True, "its ID token was sent"), (False, "no ID token was sent")])
def test_an_unauthorized_call_says_whether_a_token_was_sent(google: Kind, has_token: bool, text: str) -> None:
    """The message does not show the token."""
    with FaultServer() as server:
        server.default = html(403, "Forbidden")
        client = BARE_CLIENTS[google]()
        client.configure(ConfigParams.from_tuples("connection.uri", server.url))
        if has_token:
            client.configure(config_for("google", server.url))
        client.open("T")
        error = failure(client)
        client.close("T")

        assert text in error.message
        assert "hunter2" not in str(error.to_json())


# --- Secrets ---


def test_a_token_in_the_response_is_masked(google: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """It is masked with and without `Bearer`, because error pages can quote the request."""
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server, open_client(google, server.url) as client:
        server.default = respond(400, f"bad {AUTH_TOKEN}; Authorization: Bearer {AUTH_TOKEN}".encode())
        error = failure(client)

        assert "bad ***; Authorization: Bearer ***" in error.message
        assert AUTH_TOKEN not in f"{error.to_json()} {caplog.text}"


def test_a_token_with_bearer_is_rejected(google: Kind) -> None:
    """The error names the setting and does not show its value."""
    client = CLIENTS[google]("dummies")
    config = config_for("google", "http://127.0.0.1:9")
    config.put("credential.auth_token", f"Bearer {AUTH_TOKEN}")
    client.configure(config)
    with pytest.raises(ConfigException) as caught:
        client.open("T")

    assert caught.value.details["key"] == "credential.auth_token"
    assert AUTH_TOKEN not in str(caught.value.to_json())
