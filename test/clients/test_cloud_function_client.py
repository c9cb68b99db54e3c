"""What is the Google client's own: its address, its token, its limits, and what Google's front ends answer."""

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
def test_nothing_but_the_url_is_in_the_url(google: Kind, uri: str) -> None:
    """The toolkit's client sends its own URL and its timeouts in the query string."""
    with FaultServer() as server:
        request = called(google, server, uri, "options.timeout", "10000", "credential.auth_token", AUTH_TOKEN)

        assert (request.method, request.path) == ("POST", uri or "/")
        assert request.json() == {"id": "7", "cmd": "get", "trace_id": "T"}
        assert request.headers.get_all("content-length") == [str(len(request.body))]


@pytest.mark.parametrize("section", ["credential", "connection"])
def test_the_token_is_in_its_header(google: Kind, section: str) -> None:
    """Wherever it is configured."""
    with FaultServer() as server:
        request = called(google, server, "/f", f"{section}.auth_token", AUTH_TOKEN)

        assert request.headers.get_all("authorization") == [f"Bearer {AUTH_TOKEN}"]


@pytest.mark.parametrize("settings", [(), ("credential.auth_token", "")], ids=["absent", "empty"])
def test_without_a_token_there_is_no_header(google: Kind, settings: tuple[str, ...]) -> None:
    """An empty one would be a wrong token."""
    with FaultServer() as server:
        assert "authorization" not in called(google, server, "/f", *settings).headers


def test_a_command_has_the_name_of_its_service(google: Kind) -> None:
    """The toolkit's commandable client sends the command alone, and its controllers do not find it."""
    with FaultServer() as server, open_client(google, server.url) as client:
        client.call_command("get", "T")

        assert server.requests[0].json()["cmd"] == "dummies.get"


def test_project_region_and_function_make_the_url(google: Kind) -> None:
    """Over https unless the protocol says otherwise."""
    client = BARE_CLIENTS[google]()
    client.configure(
        {"connection": {"project_id": "my-shop", "region": "europe-west1", "function": "orders", "org_id": "7"}}
    )
    client.open("T")

    assert client._uri == "https://europe-west1-my-shop.cloudfunctions.net/orders"
    client.close("T")


def test_the_session_is_requests() -> None:
    """While the client is open; the tools that hook requests look there."""
    client = CloudFunctionClient()
    client.configure(config_for("google", "http://127.0.0.1:9"))
    client.open("T")
    assert isinstance(client._client, requests.Session)

    client.close("T")
    assert client._client is None


# --- Limits ---


def test_an_attempt_has_a_minute(google: Kind) -> None:
    """As the function itself, unless it was deployed with another timeout."""
    with open_client(google, "http://127.0.0.1:9") as client:
        assert client._timeout == 60_000
    with open_client(google, "http://127.0.0.1:9", timeout=5) as client:
        assert client._timeout == 5


def test_a_payload_over_the_limit_is_refused_before_it_is_sent(google: Kind) -> None:
    """Functions of the second generation take 32 MiB."""
    with FaultServer() as server, open_client(google, server.url) as client:
        error = failure(client, params={"text": "x" * (32 << 20)})

        assert type(error) is BadRequestException
        assert (error.code, error.status, error.trace_id) == ("PAYLOAD_TOO_LARGE", 413, "T")
        assert "33554432" in error.message
        assert server.connections == 0


@pytest.mark.parametrize(("timeout", "warnings"), [(3_600_000, 0), (3_600_001, 1)])
def test_a_timeout_that_google_cuts_short_is_warned_of(google: Kind, timeout: int, warnings: int) -> None:
    """Its front end ends each request after an hour."""
    logger = RecordingLogger()
    client = BARE_CLIENTS[google]()
    client.set_references(references_to(logger=logger))
    client.configure(config_for("google", "http://127.0.0.1:9", timeout=timeout))
    client.open("T")
    client.close("T")

    warned = logger.messages(LogLevel.Warn)
    assert len(warned) == warnings
    assert all("3600000 ms" in message for message in warned)


@pytest.mark.timing
def test_the_timeout_is_not_a_wait_between_attempts(google: Kind) -> None:
    """The toolkit's client takes it for the factor of its back-off: 60 s after the first retry."""
    with FaultServer() as server, open_client(google, server.url, retries=2) as client:
        server.script(respond(429), respond(429))
        client._call("get", "T")

        times = [request.time for request in server.requests]
        assert len(times) == 3
        assert times[-1] - times[0] < 1


def test_close_closes(google: Kind) -> None:
    """The toolkit's client returns at once while it is open, and calls go on."""
    with FaultServer() as server, open_client(google, server.url) as client:
        client._call("get", "T")
        client.close("T")

        assert not client.is_open()
        assert failure(client).code == "NOT_OPENED"
        server.wait_for(closed=1)
        assert server.executions == 1


# --- What Google's front ends answer ---


def html(status: int, title: str, text: str = "") -> Step:
    """A page as Google's front ends send it."""
    page = (
        '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{status} {title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: {title}</h1>\n"
        f"<h2>{text}</h2>\n<h2></h2>\n</body></html>\n"
    )
    return respond(status, page.encode(), content_type="text/html; charset=UTF-8")


def status_of(code: int, status: str, message: str, **of: Any) -> Step:
    """An error as Google's APIs write it."""
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
    ("step", "code", "status", "again"),
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
def test_a_failure_of_google_is_retried_as_the_table_says(
    google: Kind, step: Step, code: str, status: int, again: str, idempotent: bool
) -> None:
    """A request that was refused before it ran is retried; one that an instance may have run only when it may be."""
    with FaultServer() as server, open_client(google, server.url, retries=1, idempotent=idempotent) as client:
        server.default = step
        error = failure(client)

        assert type(error) is InvocationException
        assert (error.code, error.status) == (code, status)
        assert len(server.requests) == (2 if again == "always" or idempotent else 1)


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
def test_an_answer_of_google_is_what_its_status_says(
    google: Kind, step: Step, exception: type[ApplicationException] | None, code: str
) -> None:
    """Whatever its body is, and never twice."""
    with FaultServer() as server, open_client(google, server.url, idempotent=True) as client:
        server.default = step
        if exception is None:
            assert client._call("get", "T") == {"code": "NO_ACTION"}
        else:
            error = failure(client)
            assert (type(error), error.code) == (exception, code)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("settings", "told"), [((AUTH_TOKEN,), "its ID token was sent"), ((), "no ID token was sent")])
def test_an_unauthorized_call_says_whether_a_token_was_sent(google: Kind, settings: tuple[str, ...], told: str) -> None:
    """Without showing it."""
    with FaultServer() as server:
        server.default = html(403, "Forbidden")
        client = BARE_CLIENTS[google]()
        client.configure(ConfigParams.from_tuples("connection.uri", server.url))
        if settings:
            client.configure(config_for("google", server.url))
        client.open("T")
        error = failure(client)
        client.close("T")

        assert told in error.message
        assert "hunter2" not in str(error.to_json())


# --- Secrets ---


def test_a_token_that_comes_back_is_masked(google: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """With and without `Bearer`: error pages quote what they were sent."""
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server, open_client(google, server.url) as client:
        server.default = respond(400, f"bad {AUTH_TOKEN}; Authorization: Bearer {AUTH_TOKEN}".encode())
        error = failure(client)

        assert "bad ***; Authorization: Bearer ***" in error.message
        assert AUTH_TOKEN not in f"{error.to_json()} {caplog.text}"


def test_a_token_that_is_no_header_is_refused_unseen(google: Kind) -> None:
    """`Bearer` is not part of it. The error names the setting, not its value."""
    client = CLIENTS[google]("dummies")
    config = config_for("google", "http://127.0.0.1:9")
    config.put("credential.auth_token", f"Bearer {AUTH_TOKEN}")
    client.configure(config)
    with pytest.raises(ConfigException) as caught:
        client.open("T")

    assert caught.value.details["key"] == "credential.auth_token"
    assert AUTH_TOKEN not in str(caught.value.to_json())
