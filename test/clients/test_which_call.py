"""An error says which call it was: in its message, its details and its notes."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException
from support import fault_server as server
from support.clients import ARN, AUTH_CODE, CLIENTS, config_for, every_kind, open_client
from support.fault_server import FaultServer

provider = every_kind


def error_of(client: Any, params: Any = None) -> ApplicationException:
    with pytest.raises(ApplicationException) as caught:
        client.call_command("get", "T", params)
    return caught.value


def address(provider: str, far_side: FaultServer) -> str:
    return ARN if provider == "lambda" else config_for(provider, far_side.url).get_as_string("connection.uri")


@pytest.mark.parametrize(
    "step",
    [
        server.respond(500, b"<h1>No</h1>"),
        server.respond(404, b""),
        server.close_after_read(),
        server.respond(body=b"<"),
    ],
    ids=["500", "404", "lost", "not JSON"],
)
def test_message_and_details_name_the_call(provider: str, step: server.Step) -> None:
    """The command as it was sent, the address without a query, the client's class, the attempts."""
    with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
        far_side.default = step
        error = error_of(client)
        where = f"dummies.get at {address(provider, far_side)}"
    assert error.message.endswith(f"(calling {where}, 1 attempt)")
    assert str(error) == error.message
    kind = "function" if provider == "lambda" else "url"
    details = dict(error.details)
    assert details.pop("client").endswith("LambdaClient" if provider == "lambda" else "FunctionClient")
    assert (details["command"], details[kind], details["attempts"]) == ("dummies.get", address(provider, far_side), "1")
    assert where in "".join(traceback.format_exception_only(error))
    assert "Error: " not in error.message or "_" not in error.message.partition("Error: ")[0]


def test_a_restored_error_keeps_its_words(provider: str) -> None:
    """The note says which call it was."""
    body: Any = {
        "code": "NO_ORDER",
        "category": "NotFound",
        "status": 404,
        "message": "No such order",
        "details": {"a": 1},
    }
    step = server.respond(400, body)
    if provider == "lambda":
        step = server.respond(
            200,
            {"errorType": "NotFoundException", "errorMessage": "No such order"},
            headers={"X-Amz-Function-Error": "Unhandled"},
        )
    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        far_side.default = step
        error = error_of(client)
    assert error.message == "No such order"
    assert "command" not in (error.details or {})
    assert any("dummies.get" in note for note in error.__notes__)


def test_attempts_are_counted(provider: str) -> None:
    """All that were made."""
    with FaultServer() as far_side, open_client(provider, far_side.url, retries=2) as client:
        far_side.default = server.respond(429)
        error = error_of(client)
    assert (error.details["attempts"], error.message.endswith(", 3 attempts)")) == ("3", True)


def test_a_functions_error_has_its_type() -> None:
    """`division by zero` alone says nothing."""
    step = server.respond(
        200,
        {"errorType": "ZeroDivisionError", "errorMessage": "division by zero"},
        headers={"X-Amz-Function-Error": "Unhandled"},
    )
    with FaultServer() as far_side, open_client("lambda", far_side.url) as client:
        far_side.default = step
        error = error_of(client)
    assert error.message == f"ZeroDivisionError: division by zero (calling dummies.get at {ARN}, 1 attempt)"


@pytest.mark.parametrize("key", [AUTH_CODE, ""])
def test_a_401_says_whether_a_key_was_sent(key: str) -> None:
    """By its header's name, without the key."""
    with FaultServer() as far_side:
        far_side.default = server.respond(401, b"")
        client = CLIENTS["azure"]("dummies")
        config = config_for("azure", far_side.url)
        config.put("credential.auth_code", key)
        client.configure(config)
        with client:
            error = error_of(client)
    assert ("its key was sent as x-functions-key" if key else "no key was sent") in error.message
    assert AUTH_CODE not in str(error)


def test_a_foreign_body_is_kept(provider: str) -> None:
    """Masked, and 4 KiB of it at most."""
    with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
        far_side.default = server.echo(lambda request: (400, {}, f"{AUTH_CODE} {'x' * 9000}".encode()))
        body = error_of(client).details["response_body"]
    assert len(body) <= 4096
    assert body.endswith("xxx")
    assert (AUTH_CODE in body) is (provider != "azure")  # of the others it is no secret


def test_a_query_is_not_shown() -> None:
    """It may hold what its owner takes for a secret."""
    with FaultServer() as far_side:
        far_side.default = server.respond(500)
        client = CLIENTS["azure"]("dummies")
        client.configure({"connection.uri": f"{far_side.url}/api/f?tenant=hunter2", "options.retries": 0})
        with client:
            error = error_of(client)
    assert "hunter2" not in f"{error} {error.to_json()} {error.__notes__}"
