"""What is specific to the Azure client: its request, its key, and the error bodies of Azure functions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import requests
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    InvocationException,
    NotFoundException,
    UnknownException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_observability.log import LogLevel
from support.clients import AUTH_CODE, config_for, failure, open_client
from support.fault_server import FaultServer, Request, gzip_response, respond
from support.recorders import RecordingLogger, references_to

from pip_services4_serverless.clients import AsyncAzureFunctionClient, AzureFunctionClient


def called(server: FaultServer, uri: str, *settings: str, client: AzureFunctionClient | None = None) -> Request:
    """The request of one call, as the server read it."""
    client = client or AzureFunctionClient()
    client.configure(ConfigParams.from_tuples("connection.uri", f"{server.url}{uri}", *settings))
    client.open("T")
    client._call("get", "T", {"id": "7"})
    client.close("T")
    return server.requests[-1]


# --- The request ---


@pytest.mark.defect(2)
def test_the_request_goes_to_the_configured_url() -> None:
    """Options of the call are not added to the query string."""
    with FaultServer() as server:
        request = called(server, "/api/f", "options.timeout", "10000", "credential.auth_code", AUTH_CODE)

        assert (request.method, request.path) == ("POST", "/api/f")


@pytest.mark.parametrize("size", [0, 300_000, 2_000_000])
def test_the_request_has_a_content_length(size: int) -> None:
    """Azure's front end treats a chunked body as an empty one."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        client.call_command("get", "T", {"text": "ž" * size})

        (request,) = server.requests
        assert not request.chunked
        assert request.headers.get_all("content-length") == [str(len(request.body))]
        assert request.headers["content-type"] == "application/json"
        assert request.json() == {"text": "ž" * size, "cmd": "dummies.get", "trace_id": "T"}


def test_a_repeated_request_has_each_header_once() -> None:
    """This is true of the second call, and of the second attempt of a call."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(429))
        client.call_command("get", "T", {"text": "long"})
        client.call_command("get", "T")

        for request in server.requests:
            names = [name.lower() for name in request.headers]
            assert len(names) == len(set(names))
            assert int(request.headers["content-length"]) == len(request.body)
            assert request.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("section", ["credential", "connection"])
def test_the_key_is_sent_in_its_header(section: str) -> None:
    """It may be configured in either section."""
    with FaultServer() as server:
        request = called(server, "/api/f", f"{section}.auth_code", AUTH_CODE)

        assert request.headers.get_all("x-functions-key") == [AUTH_CODE]


@pytest.mark.parametrize("settings", [(), ("credential.auth_code", "")], ids=["absent", "empty"])
def test_without_a_key_there_is_no_header(settings: tuple[str, ...]) -> None:
    """An empty header would be a wrong key."""
    with FaultServer() as server:
        request = called(server, "/api/f", *settings)

        assert "x-functions-key" not in request.headers


@pytest.mark.defect(2)
@pytest.mark.parametrize(
    ("uri", "path", "key"),
    [
        ("/api/f?code=K", "/api/f", "K"),
        ("/api/f?code=a%2Fb%3D%3D", "/api/f", "a/b=="),
        ("/api/f?code=a+b==", "/api/f", "a+b=="),
        ("/api/f?a=1&code=K&b=%20x%2F&a=2", "/api/f?a=1&b=%20x%2F&a=2", "K"),
        ("/api/f?CODE=K&encode=x", "/api/f?encode=x", "K"),
        ("/api/f?a=1&b=", "/api/f?a=1&b=", None),
        ("/api/f?flag", "/api/f?flag", None),
        ("/api/f?code=", "/api/f", None),
    ],
)
def test_a_key_in_the_url_is_moved_into_the_header(uri: str, path: str, key: str | None) -> None:
    """The rest of the query does not change."""
    with FaultServer() as server:
        request = called(server, uri)

        assert request.path == path
        assert request.headers["x-functions-key"] == key


def test_a_configured_key_takes_precedence_over_the_url() -> None:
    """The key in the URL is removed."""
    with FaultServer() as server:
        request = called(server, "/api/f?code=OLD", "credential.auth_code", AUTH_CODE)

        assert (request.path, request.headers["x-functions-key"]) == ("/api/f", AUTH_CODE)


@pytest.mark.parametrize(("uri", "path"), [("", "/"), ("/", "/"), ("/a%20b/ž", "/a%20b/%C5%BE"), ("/f#part", "/f")])
@pytest.mark.defect(16)
def test_a_url_is_normalized(uri: str, path: str) -> None:
    """It may have no path, a path that must be quoted, or a fragment."""
    with FaultServer() as server:
        assert called(server, uri).path == path


def test_netrc_adds_no_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, requests would send the credentials of the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer() as server:
        assert requests.get(server.url, timeout=5).request.headers["authorization"].startswith("Basic ")
        assert "authorization" not in called(server, "/api/f").headers


def test_cookies_are_not_kept() -> None:
    """Calls do not depend on earlier responses."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(headers={"Set-Cookie": "session=1; Path=/"}))
        client.call_command("get", "T")
        client.call_command("get", "T")

        assert "cookie" not in server.requests[1].headers
        assert len(client._client.cookies) == 0


def test_a_subclass_can_add_headers() -> None:
    """It sets the field of the reference page."""

    class Traced(AzureFunctionClient):
        def __init__(self) -> None:
            super().__init__()
            self._headers = {"x-tenant": "blue"}

    with FaultServer() as server:
        assert called(server, "/api/f", client=Traced()).headers["x-tenant"] == "blue"


@pytest.mark.parametrize("kind", [AzureFunctionClient, AsyncAzureFunctionClient])
@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "a\0b"), ("X-A", b"\0"), ("X-A\0", "b"), ("X-A", "a\nb"), ("X-A", "€"), ("X-€", "a")]
)
def test_open_raises_for_a_header_that_cannot_be_sent(kind: type[Any], name: str, value: Any) -> None:
    """Otherwise each call would fail, and would be retried."""
    client = kind.from_uri("http://127.0.0.1:9/api/f")
    client._headers[name] = value
    with pytest.raises(ConfigException, match=r"^_headers: ") as caught:
        client.open("T")
    assert (caught.value.code, client.is_open()) == ("WRONG_URI", False)


def test_an_open_client_has_a_requests_session() -> None:
    """Tools that patch requests use it."""
    client = AzureFunctionClient()
    client.configure(config_for("azure", "http://127.0.0.1:9"))
    client.open("T")
    assert isinstance(client._client, requests.Session)
    assert client._uri == "http://127.0.0.1:9/api/dummies"

    client.close("T")
    assert client._client is None


def test_the_url_is_made_of_app_and_function_name() -> None:
    """Its domain is that of Azure."""
    client = AzureFunctionClient()
    client.configure(ConfigParams.from_tuples("connection.app_name", "shop", "connection.function_name", "orders"))
    client.open("T")

    assert client._uri == "https://shop.azurewebsites.net/api/orders"
    client.close("T")


def test_connections_are_reused() -> None:
    """This is also true after an error."""
    with FaultServer() as server, open_client("azure", server.url, retries=0) as client:
        server.script(respond(204, b""), respond(body={"id": "7"}, chunk_size=3), respond(500, b"<html>"), respond(404))
        for _ in range(2):
            client.call_command("get", "T")
        for _ in range(2):
            failure(client)
        client.call_command("get", "T")

        assert (server.executions, server.connections) == (5, 1)


# --- Redirects ---


@pytest.mark.defect(8)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """Neither the key nor the request is sent to the other server."""
    with FaultServer() as elsewhere, FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(status, headers={"Location": f"{elsewhere.url}/api/f"}))
        error = failure(client)

        assert isinstance(error, InvocationException)
        assert (error.code, error.status) == ("UNEXPECTED_REDIRECT", status)
        assert (server.executions, elsewhere.connections) == (1, 0)


# --- The response ---


@pytest.mark.parametrize(
    ("step", "result"),
    [
        (respond(204), None),
        (respond(200, b""), None),
        (respond(200, b'{"id": "7"}', content_type="text/plain; charset=utf-8"), {"id": "7"}),
        (respond(200, b'"{\\"id\\": \\"1\\"}"', content_type="text/plain"), '{"id": "1"}'),
        (respond(202, b"[1, 2]", content_type=""), [1, 2]),
        (respond(200, b"created", content_type="text/plain"), "created"),
        (respond(200, "žluť".encode("cp1250"), content_type="text/plain; charset=windows-1250"), "žluť"),
        (respond(200, {"data": "x" * 300_000}, chunk_size=1000), {"data": "x" * 300_000}),
        (gzip_response(body=b'{"zipped": true}'), {"zipped": True}),
    ],
    ids=["204", "empty", "JSON as text", "JSON twice", "no type", "text", "text in cp1250", "chunks", "gzip"],
)
def test_a_response_is_decoded(step: Any, result: Any) -> None:
    """These are the responses of real functions."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(step)

        assert client.call_command("get", "T") == result


def test_a_response_that_cannot_be_decoded_is_an_error() -> None:
    """HTML with status 200 is not a result."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(200, b"<html>", content_type="text/html"))
        error = failure(client)

        assert isinstance(error, InvocationException)
        assert (error.code, error.trace_id) == ("DESERIALIZATION_FAILED", "T")


# --- Errors ---

# The exact response of a function that is built on the published pip-services4-azure.
PUBLISHED = (
    b'{"category": "NotFound", "code": "NO_X", "status": 404, "details": {"id": "7"}, "trace_id": "R", '
    b'"message": "X not found", "cause": "None", "stack_stace": "NoneType: None\\n"}'
)


@pytest.mark.defect(10)
def test_an_error_of_a_published_service_is_restored() -> None:
    """The body's status takes precedence over that of HTTP. The key of its stack trace is misspelt."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(400, PUBLISHED, content_type="text/plain; charset=utf-8"))
        error = failure(client)

        assert type(error) is NotFoundException
        assert (error.code, error.status, error.message, error.trace_id) == ("NO_X", 404, "X not found", "R")
        assert error.details == {"id": "7"}
        assert error.stack_trace == "NoneType: None\n"
        assert server.executions == 1


@pytest.mark.defect(10)
@pytest.mark.defect(11)
@pytest.mark.parametrize(
    ("body", "exception", "code", "message"),
    [
        ({"category": "NotFound", "code": "C", "message": "m"}, NotFoundException, "C", "m"),
        ({"category": "Unheard of", "code": "C", "message": "m"}, BadRequestException, "C", "m"),
        ({"category": None, "code": "C", "message": "m"}, BadRequestException, "C", "m"),
        ({"code": "C"}, BadRequestException, "C", None),
        ({"category": "Unknown", "message": "m"}, UnknownException, "UNKNOWN", "m"),
        ({"message": "m"}, BadRequestException, "BAD_REQUEST", None),
        (["code"], BadRequestException, "BAD_REQUEST", None),
        ("code", BadRequestException, "BAD_REQUEST", None),
        (b"<html>", BadRequestException, "BAD_REQUEST", None),
    ],
    ids=str,
)
def test_an_incomplete_error_body_is_used_as_far_as_possible(
    body: Any, exception: type[ApplicationException], code: str, message: str | None
) -> None:
    """Each field that is present becomes part of the exception."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(400, body))
        error = failure(client)

        assert type(error) is exception
        assert (error.code, error.status, error.trace_id) == (code, 400, "T")
        assert message in (None, error.message)


def test_a_payload_over_the_limit_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of Azure's front end is 100 MiB."""
    assert AzureFunctionClient._MAX_PAYLOAD == 104_857_600
    monkeypatch.setattr(AzureFunctionClient, "_MAX_PAYLOAD", 1000)
    with FaultServer() as server, open_client("azure", server.url) as client:
        error = failure(client, params={"text": "x" * 1000})

        assert type(error) is BadRequestException
        assert (error.code, error.status, error.trace_id) == ("PAYLOAD_TOO_LARGE", 413, "T")
        assert server.connections == 0


# --- Secrets ---


@pytest.mark.defect(18)
def test_a_key_in_the_url_is_in_no_log_and_no_exception(caplog: pytest.LogCaptureFixture) -> None:
    """Debug logs and exceptions would otherwise quote the URL."""
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server:
        client = AzureFunctionClient()
        client.configure(
            ConfigParams.from_tuples("connection.uri", f"{server.url}/api/f?code={AUTH_CODE}", "options.retries", 0)
        )
        client.open("T")
        client._call("get", "T")
        server.stop()
        error = failure(client)
        client.close("T")

        assert error.code == "CANNOT_CONNECT"
        for shown in (caplog.text, repr(error), str(error.to_json()), repr(error.__cause__), repr(client._connection)):
            assert AUTH_CODE not in shown


@pytest.mark.defect(18)
@pytest.mark.parametrize("key", ["hunter2\n", "hunter2\r\nx-injected: 1", "hunter2 2", "hunter2\x00", "hunter2ž"])
def test_a_key_that_is_not_a_valid_header_is_rejected(key: str) -> None:
    """The error names the setting and does not show its value."""
    client = AzureFunctionClient()
    client.configure(ConfigParams.from_tuples("connection.uri", "http://127.0.0.1:9/f", "credential.auth_code", key))
    with pytest.raises(ConfigException) as caught:
        client.open("T")

    assert caught.value.code == "WRONG_AUTH_CODE"
    assert caught.value.details["key"] == "credential.auth_code"
    assert "hunter2" not in str(caught.value.to_json())


def test_a_secret_in_the_response_is_masked() -> None:
    """Error pages can quote the request."""
    with FaultServer() as server, open_client("azure", server.url) as client:
        server.script(respond(400, f"bad key {AUTH_CODE}".encode()))
        error = failure(client)

        assert "bad key" in error.message
        assert AUTH_CODE not in str(error.to_json())


@pytest.mark.parametrize(("timeout", "warnings"), [(230_000, 0), (230_001, 1)])
def test_a_timeout_over_the_limit_of_azure_logs_a_warning(timeout: int, warnings: int) -> None:
    """Azure's front end ends each request after 230 s, whatever the function's own limit is."""
    logger = RecordingLogger()
    client = AzureFunctionClient()
    client.set_references(references_to(logger=logger))
    client.configure(config_for("azure", "http://127.0.0.1:9", timeout=timeout))
    client.open("T")
    client.close("T")

    logged = logger.messages(LogLevel.Warn)
    assert len(logged) == warnings
    assert all("230000 ms" in message and "options.timeout" in message for message in logged)
