"""`credential.identity`: calls with a token of the platform's identity."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pip_services4_commons.errors import ConfigException, UnauthorizedException
from support.blocking import background_loop
from support.clients import AUTH_CODE, CLIENTS, KINDS, Kind, config_for, failure, open_client
from support.fault_server import Connection, FaultServer, Request, Step, echo, raw, respond
from support.interrupts import Interrupted, TimeIsUp, interrupt_calls
from support.issuers import HEADER, SCOPE, Issuer, client_with_identity, running_issuer
from support.load import load_server
from support.processes import wait_until
from support.watch import MARK, Watch, watch

from pip_services4_serverless._wire.errors import PoolClosedError
from pip_services4_serverless.clients import AsyncAzureFunctionClient, AzureFunctionClient, _azure, _identity
from pip_services4_serverless.clients._failures import NoTokenError

__all__ = ["watch"]

WITH_IDENTITY = [kind for kind in KINDS if kind != "lambda"]
CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token could not be verified"'}
MANY = 64


@pytest.fixture(params=WITH_IDENTITY, ids=lambda kind: kind.id)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Azure and Google, each with its blocking and its asynchronous client."""
    background_loop()
    result: Kind = request.param
    return result


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A server that issues tokens."""
    with running_issuer() as result:
        yield result


@pytest.fixture
def function() -> Iterator[FaultServer]:
    """A function that returns what it receives."""
    with FaultServer() as result:
        yield result


@pytest.fixture(autouse=True)
def _traced_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, coverage traces only the threads of `threading`."""
    start = start_new_thread

    def run(function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        sys.settrace(threading.gettrace())
        function(*arguments)

    monkeypatch.setattr(_identity, "start_new_thread", lambda *started: start(run, started))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes the client's tokens that many seconds older."""

    def pass_by(seconds: float) -> None:
        monkeypatch.setattr(_identity, "time", lambda: time.time() + seconds)

    return pass_by


def authorization(request: Request) -> str:
    """The token of a request."""
    lines = request.head.decode("latin-1").split("\r\n")
    sent = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("authorization:")]
    assert len(sent) == 1, sent
    return sent[0].removeprefix("Bearer ")


def sent_tokens(function: FaultServer) -> list[str]:
    return [authorization(request) for request in function.requests]


def renewals_of(client: Any) -> Any:
    """The renewals that are in progress."""
    return client._state.transport.handle.identity._renewals


def call_at_once(client: Any, count: int = MANY) -> list[Any]:
    """The results or exceptions of that many calls, made by threads, or by tasks if the client is asynchronous."""
    if not hasattr(client, "client"):
        together = threading.Barrier(count)

        def call(number: int) -> Any:
            together.wait()
            try:
                return client._call("get", "T", {"number": number})["number"]
            except Exception as err:
                return err

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(call, range(count)))

    async def main() -> list[Any]:
        calls = (client.client._call("get", "T", {"number": number}) for number in range(count))
        done = await asyncio.gather(*calls, return_exceptions=True)
        return [each if isinstance(each, BaseException) else each["number"] for each in done]

    return asyncio.run_coroutine_threadsafe(main(), background_loop()).result(30)


# --- One token for many calls ---


def test_a_call_sends_the_token(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """It is a token of the platform's identity, for the scope or for the function's URL."""
    with client_with_identity(kind, function.url) as client:
        assert issuer.executions == issuer.connections == 0 or not issuer.token_requests
        client._call("get", "T", {})
    assert sent_tokens(function) == issuer.issued
    if kind == "azure":
        assert issuer.token_requests[0]["resource"] == SCOPE.removesuffix("/.default")
        assert "client_id" not in issuer.token_requests[0]
    else:
        assert issuer.token_requests[0]["audience"] == f"{function.url}/dummies"


def test_open_requests_no_token(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """The first call requests it."""
    before = issuer.connections
    with client_with_identity(kind, function.url):
        assert issuer.connections == before
        assert function.connections == 0


def test_a_thousand_calls_request_one_token(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """All of them send the same token."""
    with client_with_identity(kind, function.url) as client:
        for number in range(1000):
            assert client._call("get", "T", {"number": number})["number"] == number
    assert set(sent_tokens(function)) == set(issuer.issued)
    assert (function.executions, len(issuer.token_requests)) == (1000, 1)


def test_a_key_is_sent_besides_the_token(issuer: Issuer, function: FaultServer) -> None:
    """App Service Authentication can be in front of a function that has a key."""
    for kind in (kind for kind in WITH_IDENTITY if kind == "azure"):
        with client_with_identity(kind, function.url, {"auth_code": AUTH_CODE}) as client:
            client._call("get", "T", {})
    assert sent_tokens(function) == issuer.issued
    assert all(f"x-functions-key: {AUTH_CODE}".encode() in request.head for request in function.requests)


def test_the_token_is_for_the_configured_client_id_or_audience(issuer: Issuer, function: FaultServer) -> None:
    """Azure has user-assigned identities, and Google has audiences."""
    with client_with_identity(Kind("azure"), function.url, {"client_id": "99999999-8888"}) as client:
        client._call("get", "T", {})
    with client_with_identity(Kind("google"), function.url, {"audience": "https://orders.example"}) as client:
        client._call("get", "T", {})
    assert issuer.token_requests[0]["client_id"] == "99999999-8888"
    assert issuer.token_requests[1]["audience"] == "https://orders.example"


def test_the_default_audience_has_no_query(issuer: Issuer, function: FaultServer) -> None:
    """Google compares the audience with the function's URL."""
    with client_with_identity(Kind("google"), function.url) as client:
        client.close()
        client.configure({"connection.uri": f"{function.url}/orders?v=1", "credential.identity": "default"})
        client.open()
        client._call("get", "T", {})
    assert issuer.token_requests[0]["audience"] == f"{function.url}/orders"


def test_a_key_in_the_query_is_masked_besides_the_token(issuer: Issuer, function: FaultServer) -> None:
    """The function's URL may contain the key of a gateway."""
    with client_with_identity(Kind("google"), function.url) as client:
        client.close()
        url = f"{function.url}/orders?subscription-key=Subscription-hunter2"
        client.configure({"connection.uri": url, "credential.identity": "default"})
        client.open()
        function.default = respond(404, b"/orders?subscription-key=Subscription-hunter2 not found")
        error = failure(client)
    assert "subscription-key=*** not found" in error.message
    assert "hunter2" not in f"{error} {error.to_json()} {error.__notes__}"


def test_the_identity_may_be_in_a_service_account_file(
    issuer: Issuer, function: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`GOOGLE_APPLICATION_CREDENTIALS` names it, for use outside Google Cloud."""
    import json

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "account.json"
    account = {"type": "service_account", "client_email": "a@shop.iam.gserviceaccount.com", "private_key_id": "1"}
    file.write_text(json.dumps({**account, "private_key": key.decode(), "token_uri": f"{issuer.url}/msi/token"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    issuer.instead_of_token = respond(200, {"id_token": issuer.token()})
    with client_with_identity(Kind("google"), function.url) as client:
        client._call("get", "T", {})
    assert sent_tokens(function) == issuer.issued


# --- Renewal ---


def test_all_calls_wait_for_the_first_token(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """There is one request for it, however many calls begin at the same time."""
    issuer.before_token = lambda: time.sleep(0.3)  # so that the other calls begin before the response
    with client_with_identity(kind, function.url, timeout=5000) as client:
        assert call_at_once(client) == list(range(MANY))
    assert len(issuer.token_requests) == 1
    assert set(sent_tokens(function)) == set(issuer.issued)


def test_a_token_is_renewed_before_it_expires(
    kind: Kind, issuer: Issuer, function: FaultServer, later: Callable[[float], None]
) -> None:
    """There is one request for all calls. No call waits, and each sends a valid token."""
    go_on = threading.Event()

    with client_with_identity(kind, function.url, timeout=1000) as client:
        client._call("get", "T", {})
        later(3600 - 200)
        issuer.before_token = lambda: go_on.wait(10)
        assert call_at_once(client) == list(range(MANY))
        wait_until(lambda: len(issuer.token_requests) == 2)
        assert set(sent_tokens(function)) == {issuer.issued[0]}
        go_on.set()
        wait_until(lambda: not renewals_of(client))
        assert call_at_once(client) == list(range(MANY))
    assert len(issuer.token_requests) == 2
    assert sent_tokens(function)[-MANY:] == [issuer.issued[1]] * MANY


def test_an_expired_token_is_not_sent(
    kind: Kind, issuer: Issuer, function: FaultServer, later: Callable[[float], None]
) -> None:
    """All calls wait for the new token, which is requested once."""
    with client_with_identity(kind, function.url) as client:
        client._call("get", "T", {})
        later(3601)
        issuer.lifetime = 7200
        assert call_at_once(client) == list(range(MANY))
    assert len(issuer.token_requests) == 2
    assert sent_tokens(function)[1:] == [issuer.issued[1]] * MANY


def test_a_failed_renewal_does_not_matter_until_the_token_expires(
    kind: Kind, issuer: Issuer, function: FaultServer, later: Callable[[float], None]
) -> None:
    """The token is not requested again for each call."""
    with client_with_identity(kind, function.url) as client:
        client._call("get", "T", {})
        issuer.instead_of_token = REJECTED
        later(3600 - 200)
        client._call("get", "T", {})
        wait_until(lambda: len(issuer.token_requests) == 2)
        wait_until(lambda: not renewals_of(client))
        for _ in range(20):
            client._call("get", "T", {})
        assert len(issuer.token_requests) == 2
        later(3600 - 150)
        client._call("get", "T", {})
        wait_until(lambda: len(issuer.token_requests) == 3)
    assert set(sent_tokens(function)) == {issuer.issued[0]}


def test_an_expired_token_is_not_sent_when_the_issuer_is_down(
    kind: Kind, issuer: Issuer, function: FaultServer, later: Callable[[float], None]
) -> None:
    """Each call requests a token, and raises because there is none."""
    with client_with_identity(kind, function.url) as client:
        client._call("get", "T", {})
        later(3601)
        issuer.instead_of_token = REJECTED
        for _ in range(3):
            assert failure(client).code == "NO_CREDENTIALS"
    assert (function.executions, len(issuer.token_requests)) == (1, 4)


def test_a_token_with_a_short_life_is_used_for_half_of_it(issuer: Issuer, function: FaultServer) -> None:
    """Another is requested only after that."""
    issuer.lifetime = 60
    with client_with_identity(Kind("azure"), function.url) as client:
        for _ in range(20):
            client._call("get", "T", {})
    assert len(issuer.token_requests) == 1


# --- Issuers without a token ---


HTML = respond(200, b"<html>Sign in</html>", content_type="text/html")
NO_EXPIRY = respond(200, {"access_token": "Opaque-hunter2-token"})
NO_TYPE = respond(200, b"hunter", content_type="")
WRONG_EXPIRY = respond(200, {"access_token": "Opaque-hunter2-token", "expires_on": "soon"})
REJECTED = respond(400, {"statusCode": 400, "message": "There is no identity"})
CUT = respond(200, b'{"access_token": "Opaque-hunter2-token", "expires_')
CUT_TOKEN = respond(200, b"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOiAxfQodd.hunter2", content_type="text/html")


@pytest.mark.parametrize("step", [HTML, NO_EXPIRY, NO_TYPE, WRONG_EXPIRY, REJECTED, CUT, CUT_TOKEN])
def test_an_unusable_token_response_fails(
    kind: Kind, step: Step, issuer: Issuer, function: FaultServer, watch: Watch
) -> None:
    """No token is shown, and nothing is sent. The next call requests a token again."""
    issuer.instead_of_token = step
    with client_with_identity(kind, function.url) as client:
        client.set_references(watch.references())
        error = failure(client)
        assert isinstance(error, ConfigException)
        assert (error.code, error.status, error.trace_id) == ("NO_CREDENTIALS", 500, "T")
        assert error.__cause__.__cause__ is not None
        watch.note(error)
        assert function.connections == 0
        issuer.instead_of_token = None
        assert client._call("get", "T", {"a": 1})["a"] == 1
    assert watch.leaks() == []


def test_a_key_error_of_the_library_is_a_cause(issuer: Issuer, function: FaultServer) -> None:
    """google-auth raises it when a header is missing."""
    issuer.instead_of_token = NO_TYPE
    with client_with_identity(Kind("google"), function.url) as client:
        assert isinstance(failure(client).__cause__.__cause__, KeyError)


@pytest.mark.timing
def test_a_call_fails_without_issuer(issuer: Issuer, function: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own retries would take seconds, but the call ends at its timeout."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token")
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:9")
    with ExitStack() as stack:
        clients = [stack.enter_context(client_with_identity(kind, function.url, timeout=300)) for kind in WITH_IDENTITY]
        for client in clients:
            began = time.monotonic()
            error = failure(client)
            assert time.monotonic() - began < 0.6
            assert error.code == "NO_CREDENTIALS"
            assert "within 0.3 s" in error.message
        # The libraries read the environment until they end, and it changes after this test.
        wait_until(lambda: not any(map(renewals_of, clients)))
    assert function.connections == 0


@pytest.mark.timing
@pytest.mark.parametrize("option", ["timeout", "total_timeout"])
def test_the_timeout_includes_a_slow_issuer(kind: Kind, option: str, issuer: Issuer, function: FaultServer) -> None:
    """All calls share one request. A call after the response uses its token."""
    go_on = threading.Event()

    issuer.before_token = lambda: go_on.wait(10)
    options: dict[str, Any] = {option: 400}
    with client_with_identity(kind, function.url, **options) as client:
        began = time.monotonic()
        errors = call_at_once(client)
        assert time.monotonic() - began < 2
        assert {error.code for error in errors} == {"NO_CREDENTIALS"}
        assert function.connections == 0
        go_on.set()
        wait_until(lambda: len(issuer.issued) == 1)
        assert client._call("get", "T", {"a": 1})["a"] == 1
    assert len(issuer.token_requests) == 1


@pytest.mark.timing
def test_the_wait_for_a_token_is_part_of_the_attempts_time(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """The function has only the rest of that time."""
    issuer.before_token = lambda: time.sleep(0.5)
    function.default = Step("hold", Connection.hold)
    with client_with_identity(kind, function.url, timeout=900) as client:
        began = time.monotonic()
        assert failure(client).code == "CALL_TIMEOUT"
        assert 0.8 < time.monotonic() - began < 1.3


def test_a_renewal_that_hangs_is_replaced(
    issuer: Issuer, function: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one begins after its timeout."""
    go_on = threading.Event()
    issuer.before_token = lambda: go_on.wait(10)
    with client_with_identity(Kind("azure"), function.url, timeout=1000) as client:
        assert failure(client).code == "NO_CREDENTIALS"
        monkeypatch.setattr(_identity, "_RENEWAL_TIMEOUT", 0)
        issuer.before_token = lambda: None
        assert client._call("get", "T", {"a": 1})["a"] == 1
        go_on.set()
    assert len(issuer.token_requests) == 2


@pytest.mark.timing
def test_close_ends_the_waits_for_a_token(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """It does so immediately. A call that begins to wait during `close` ends too."""
    requested, go_on = threading.Event(), threading.Event()
    issuer.before_token = lambda: requested.set() or go_on.wait(10)  # type: ignore[func-returns-value]
    with client_with_identity(kind, function.url) as client, ThreadPoolExecutor(2) as pool:
        identity = client._state.transport.handle.identity
        calls = [pool.submit(failure, client) for _ in range(2)]
        assert requested.wait(5)
        (renewal,) = identity._renewals.values()
        wait_until(lambda: len(renewal.ended._locks) + len(renewal.ended_async._waits) == 2)  # both calls wait
        began = time.monotonic()
        client.close("test")
        errors = [call.result() for call in calls]
        with pytest.raises(PoolClosedError):
            identity.authorize({}, 10)
        assert time.monotonic() - began < 1
        go_on.set()
        wait_until(lambda: not identity._renewals)
    for error in errors:
        assert (error.code, error.details.get_as_string("attempts")) == ("NOT_OPENED", "1")
        assert "The client was closed while a call waited for a token of " in error.message
    assert (len(issuer.token_requests), function.connections) == (1, 0)


def test_an_error_whose_str_raises_is_shown_by_its_class(capfd: pytest.CaptureFixture[str]) -> None:
    """The thread that catches it prints nothing."""

    class LibraryError(Exception):
        def __str__(self) -> str:
            raise LookupError("Opaque-hunter2-token")

    def fetch() -> tuple[str, float]:
        raise LibraryError

    with pytest.raises(NoTokenError, match="LibraryError, whose text cannot be read") as caught:
        _identity.Identity("a library", fetch).authorize({}, 5)
    assert isinstance(caught.value.__cause__, ValueError)
    assert capfd.readouterr().err == ""


def test_an_error_whose_text_cannot_be_masked_is_replaced(watch: Watch) -> None:
    """An error of azure-core reads its text from its response each time."""

    class LibraryError(Exception):
        def __str__(self) -> str:
            return '{"access_token": "Opaque-hunter2-token"}'

    def fetch() -> tuple[str, float]:
        raise LibraryError

    with pytest.raises(NoTokenError) as caught:
        _identity.Identity("a library", fetch).authorize({}, 5)
    assert "LibraryError: " in str(caught.value.__cause__)
    watch.note(caught.value)
    assert watch.leaks() == []


def test_a_call_raises_if_no_thread_can_be_started(
    kind: Kind, issuer: Issuer, function: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens when the interpreter exits. The next call tries again."""

    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with client_with_identity(kind, function.url) as client:
        with monkeypatch.context() as patch:
            patch.setattr(_identity, "start_new_thread", fail)
            error = failure(client)
        assert error.code == "NO_CREDENTIALS"
        assert isinstance(error.__cause__.__cause__, RuntimeError)
        assert client._call("get", "T", {"a": 1})["a"] == 1


@pytest.mark.parametrize(
    "fetched",
    [
        (None, 1e12),
        (7, 1e12),
        ("", 1e12),
        ("to ken\r\nX: y", 1e12),
        ("token-hunter2", 1.0),
        ("t-hunter2", float("nan")),
    ],
)
def test_an_invalid_token_is_rejected(fetched: Any, watch: Watch) -> None:
    """It is not shown."""
    identity = _identity.Identity("a library", lambda: fetched)
    headers: dict[str, str] = {}
    with pytest.raises(NoTokenError) as caught:
        identity.authorize(headers, 5)
    assert isinstance(caught.value.__cause__, TypeError | ValueError)
    watch.note(caught.value)
    assert watch.leaks() == []
    assert headers == {}


# --- Rejected tokens ---


def test_a_rejected_token_is_renewed_and_the_call_retried(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """The function has not run, because its token was rejected before."""
    function.script(respond(200, {"a": 0}), respond(401, b"", headers=CHALLENGE))
    with client_with_identity(kind, function.url) as client:
        client._call("get", "T", {})
        assert client._call("get", "T", {"a": 1})["a"] == 1
    assert sent_tokens(function) == [issuer.issued[0], issuer.issued[0], issuer.issued[1]]
    assert len(issuer.token_requests) == 2


def test_a_call_is_retried_once_with_a_new_token(
    kind: Kind, issuer: Issuer, function: FaultServer, later: Callable[[float], None]
) -> None:
    """After that, the 401 is the error. For a while, no other token is requested."""
    function.default = respond(401, b"who are you?", headers=CHALLENGE, content_type="text/html")
    with client_with_identity(kind, function.url, retries=5, idempotent=True) as client:
        error = failure(client)
        assert isinstance(error, UnauthorizedException)
        assert (error.status, error.details.get_as_string("attempts")) == (401, "2")
        assert "token of its identity" in error.message or "an ID token was sent" in error.message
        assert (function.executions, len(issuer.token_requests)) == (2, 2)
        failure(client)
        assert (function.executions, len(issuer.token_requests)) == (3, 2)
        later(61)
        failure(client)
        assert (function.executions, len(issuer.token_requests)) == (5, 3)


@pytest.mark.parametrize(
    "step",
    [
        respond(401, b"no"),
        respond(401, b"no", headers={"WWW-Authenticate": 'Basic realm="shop"'}),
        respond(401, b"no", headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'}),
        respond(401, {"code": "NOT_SIGNED", "message": "no"}, headers=CHALLENGE),
        respond(403, b"no", headers=CHALLENGE),
    ],
    ids=["no challenge", "another scheme", "another error", "an error of pip-services", "403"],
)
def test_other_rejections_are_not_retried(kind: Kind, step: Step, issuer: Issuer, function: FaultServer) -> None:
    """Unless the response says that the token was rejected, the function may have run."""
    function.default = step
    with client_with_identity(kind, function.url, idempotent=True) as client:
        assert failure(client).status in (401, 403)
    assert (function.executions, len(issuer.token_requests)) == (1, 1)


def test_without_retries_a_rejected_token_is_not_retried(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """The next call has a new token."""
    function.script(respond(401, b"", headers=CHALLENGE))
    with client_with_identity(kind, function.url, retries=0) as client:
        assert failure(client).code == "UNAUTHORIZED"
        assert client._call("get", "T", {"a": 1})["a"] == 1
    assert sent_tokens(function) == issuer.issued
    assert len(issuer.issued) == 2


def test_a_rejected_key_is_not_retried(kind: Kind, function: FaultServer) -> None:
    """There is no other key."""
    function.default = respond(401, b"", headers=CHALLENGE)
    with open_client(kind, function.url, idempotent=True) as client:
        assert failure(client).code == "UNAUTHORIZED"
    assert function.executions == 1


def test_many_rejected_calls_share_one_renewal(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """All of them succeed with the new token."""
    with client_with_identity(kind, function.url) as client:
        client._call("get", "T", {})
        old = issuer.issued[0]

        def step(request: Request) -> Step:
            return respond(401, b"", headers=CHALLENGE) if old.encode() in request.head else echo()

        function.default = step
        assert call_at_once(client) == list(range(MANY))
    assert len(issuer.token_requests) == 2


def test_a_rejected_token_is_kept_until_there_is_another(kind: Kind, issuer: Issuer, function: FaultServer) -> None:
    """The call raises that there is no token. Later calls send the old one, which others may accept."""
    function.script(respond(200, {}), respond(401, b"", headers=CHALLENGE))
    with client_with_identity(kind, function.url) as client:
        client._call("get", "T", {})
        issuer.instead_of_token = REJECTED
        assert failure(client).code == "NO_CREDENTIALS"
        assert client._call("get", "T", {"a": 1})["a"] == 1
    assert set(sent_tokens(function)) == set(issuer.issued)


def test_the_error_says_which_credentials_were_sent(function: FaultServer, issuer: Issuer) -> None:
    """They are the token, or the key and the token."""
    function.default = respond(401, b"no")
    messages = []
    for credential in ({}, {"auth_code": AUTH_CODE}):
        with client_with_identity(Kind("azure"), function.url, credential) as client:
            messages.append(failure(client).message.partition("; ")[2].partition(" (")[0])
    assert messages == [
        "a token of its identity was sent",
        "its key was sent as x-functions-key, and a token of its identity was sent",
    ]


# --- Headers ---


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_a_subclass_cannot_set_the_tokens_header(name: str, issuer: Issuer, function: FaultServer) -> None:
    """It can set it neither for one attempt nor for all of them."""

    class CustomClient(AsyncAzureFunctionClient):
        def _attempt_headers(self, context: Any) -> dict[str, str]:
            return {name: "Basic x"}

    config = {"connection.uri": function.url, "credential.identity": "default", "credential.scope": SCOPE}

    async def main() -> None:
        client = CustomClient()
        client.configure(config)
        async with client:
            await client.call("get")

    with pytest.raises(Exception, match=f"may not set {name}") as caught:
        asyncio.run(main())
    assert caught.value.code == "WRONG_HEADER"  # type: ignore[attr-defined]
    for cls in (AzureFunctionClient, AsyncAzureFunctionClient):
        client = cls()
        client._headers[name] = "Basic x"
        client.configure(config)
        client.open()
        call = client.call("get")
        if cls is AsyncAzureFunctionClient:
            asyncio.run(call)
        client.close()
    assert sent_tokens(function) == issuer.issued


def test_plain_http_logs_a_warning(kind: Kind, issuer: Issuer, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others can read the token, like a key. When the client opens, there is no token yet."""
    monkeypatch.delenv("IDENTITY_HEADER")
    client = CLIENTS[kind]("dummies")
    config = config_for(kind, "http://shop.example")
    for key in ("auth_code", "auth_token"):
        config.pop(f"credential.{key}", None)
    config.put("credential.identity", "default")
    if kind == "azure":
        config.put("credential.scope", SCOPE)
    client.configure(config)
    client.set_references(watch.references())
    client.open("T")
    client.close("T")
    assert any("sends its credentials over plain http" in text for text in watch.seen)
    assert watch.warnings == 1


# --- Secrets ---


def test_no_log_or_error_shows_a_token(kind: Kind, issuer: Issuer, function: FaultServer, watch: Watch) -> None:
    """No log, error, trace or counter shows a token, neither the current nor the previous one."""
    for name in ("azure", "msal", "google", "google.auth.transport.requests"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with client_with_identity(kind, function.url) as client:
            client.set_references(watch.references())
            client._call("get", "T", {})
            function.script(respond(401, b"", headers=CHALLENGE))
            client._call("get", "T", {})
            tokens = ", ".join(issuer.issued)
            for status in (400, 401, 500):
                function.script(respond(status, {"message": f"not {tokens}"}))
                watch.note(failure(client))
            function.script(respond(500, {"code": "OUCH", "message": tokens, "details": {tokens: [tokens]}}))
            watch.note(failure(client))
            logging.getLogger("urllib3.connectionpool").debug("sent %s", tokens)
            watch.note_client(client)
            watch.seen.append(repr(client._state))
    finally:
        for name in ("azure", "msal", "google", "google.auth.transport.requests"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert len(issuer.issued) == 2
    assert len(watch.seen) > 20
    assert watch.leaks() == []
    assert HEADER not in str(watch.seen)


@pytest.mark.parametrize(
    ("provider", "name"),
    [("azure", "msal.managed_identity"), ("google", "google.auth.transport.requests")],
)
def test_tokens_in_the_logs_of_identity_libraries_are_masked(provider: str, name: str) -> None:
    """The client does not know these tokens yet. The request itself does not change."""
    with client_with_identity(Kind(provider), "http://127.0.0.1:9"):
        pass
    logger = logging.getLogger(name)
    kept: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = kept.append  # type: ignore[assignment,method-assign]
    logger.addHandler(handler)
    token = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOiAxfQ12.hunter2"
    headers = {"Authorization": f"Bearer {token}", "X": 1}
    try:
        logger.warning(
            "Response: %s", {"id_token": "Opaque-hunter2-token"}, extra={"httpRequest": {"headers": headers}}
        )
        raise ValueError(f"not {token}")
    except ValueError:
        logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    shown = "".join(logging.Formatter().format(record) + repr(vars(record)) for record in kept)
    assert "***" in shown
    assert MARK not in shown
    assert headers == {"Authorization": f"Bearer {token}", "X": 1}


# --- Interrupts and forks ---


@pytest.mark.parametrize("kind_of_interrupt", [Interrupted, TimeIsUp])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a socket whose creation was interrupted
def test_calls_do_not_hang_after_interrupts_at_random_moments(
    kind_of_interrupt: type[BaseException], issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call must renew its token."""
    monkeypatch.setattr(_identity, "time", lambda: 0.0)
    fetched = 0

    def fetch() -> tuple[str, float]:
        nonlocal fetched
        fetched += 1
        monkeypatch.setattr(_identity, "time", lambda: float(fetched))
        return f"token-{fetched}", fetched + 1.0

    class AlwaysRenewed(_identity.Identity):
        def authorize(self, headers: Any, timeout: float) -> float:
            self._token = self._token and self._token._replace(renew_at=0.0)
            return super().authorize(headers, timeout)

    monkeypatch.setattr(_azure, "_entra_identity", lambda *_: AlwaysRenewed("a library", fetch))
    with load_server(failing=0) as server, client_with_identity(Kind("azure"), server.url, timeout=1000) as client:
        seen = interrupt_calls(client, 300, 8, kind_of_interrupt)
        executed = server.executed()
    gc.collect()
    assert (seen.hung, seen.mixed_up, seen.others) == (0, 0, [])
    assert (seen.lost(executed), seen.executed_twice(executed)) == (0, 0)
    assert seen.raised > 50
    assert fetched > 100


FORK = """
import os, signal, sys, threading, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
sys.path.insert(0, {tests!r})
from support.clients import Kind
from support.issuers import client_with_identity

with client_with_identity(Kind({kind!r}), {url!r}, timeout=5000) as client:
    thread = threading.Thread(target=client._call, args=("get", "T", {{"from": "parent"}}))
    thread.start()
    sys.stdin.readline()  # the issuer has received the request, and has not responded
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        try:
            client._call("get", "T", {{"from": "child"}})
            os._exit(0)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    thread.join()
"""


@pytest.mark.parametrize("provider", ["azure", "google"])
def test_a_child_forked_during_a_renewal_makes_its_own(provider: str, issuer: Issuer, function: FaultServer) -> None:
    """The thread of the parent's renewal does not exist in the child."""
    requested, go_on = threading.Event(), threading.Event()

    def hold_the_first() -> None:
        if not requested.is_set():
            requested.set()
            assert go_on.wait(20)

    issuer.before_token = hold_the_first
    code = FORK.format(tests=str(Path(__file__).parents[1]), kind=provider, url=function.url)
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as program:
        assert program.stdin
        assert program.stdout
        assert requested.wait(20)
        program.stdin.write("fork\n")
        program.stdin.flush()
        assert program.stdout.readline() == "0\n"
        go_on.set()
        assert program.wait(20) == 0
    assert len(issuer.token_requests) == 2
    assert function.executions == 2


def test_cancelling_a_call_does_not_cancel_the_renewal(issuer: Issuer, function: FaultServer) -> None:
    """The other calls get the token."""
    go_on, requested = threading.Event(), threading.Event()

    def held() -> None:
        requested.set()
        assert go_on.wait(10)

    issuer.before_token = held

    async def main(client: Any) -> Any:
        calls = [asyncio.create_task(client._call("get", "T", {"number": number})) for number in range(4)]
        await asyncio.to_thread(requested.wait, 5)
        calls[0].cancel()
        go_on.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    with client_with_identity(next(kind for kind in WITH_IDENTITY if kind.is_async), function.url) as client:
        done = asyncio.run(main(client.client))
    assert isinstance(done[0], asyncio.CancelledError)
    assert [each["number"] for each in done[1:]] == [1, 2, 3]
    assert len(issuer.token_requests) == 1


# --- Configuration ---


@pytest.mark.parametrize(
    ("provider", "module", "extra"),
    [("azure", "azure.identity", "entra"), ("google", "google.oauth2.id_token", "google")],
)
def test_open_names_the_extra_that_is_not_installed(
    provider: str, module: str, extra: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error also names the setting."""
    monkeypatch.setitem(sys.modules, module, None)
    for kind in (kind for kind in WITH_IDENTITY if kind == provider):
        with pytest.raises(ConfigException) as caught, client_with_identity(kind, "http://127.0.0.1:9"):
            pass
        assert caught.value.code == "NO_CREDENTIALS"
        assert caught.value.message.startswith("credential.identity: ")
        assert f"pip install 'pip-services4-serverless[{extra}]'" in caught.value.message
        assert isinstance(caught.value.__cause__, ImportError)


def test_open_raises_for_a_wrong_setting_of_azure_identity(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause is the exception of the library."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "whatever")
    with pytest.raises(ConfigException) as caught, client_with_identity(Kind("azure"), "http://127.0.0.1:9"):
        pass
    assert caught.value.code == "NO_CREDENTIALS"
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_interrupt_of_open_is_not_a_missing_library(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`open` raises it unchanged."""

    def interrupted(**_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", interrupted)
    monkeypatch.setattr(_identity, "is_interrupt", lambda err: isinstance(err, AssertionError))
    with pytest.raises(AssertionError), client_with_identity(Kind("azure"), "http://127.0.0.1:9"):
        pass


@pytest.mark.parametrize(
    ("provider", "credential", "key"),
    [
        ("azure", {"identity": "managed"}, "credential.identity"),
        ("azure", {"scope": ""}, "credential.scope"),
        ("google", {"identity": "metadata"}, "credential.identity"),
        ("google", {"auth_token": "T"}, "credential.identity"),
        ("lambda", {"identity": "role"}, "credential.identity"),
    ],
)
def test_open_names_a_wrong_setting(provider: str, credential: dict[str, str], key: str) -> None:
    """The error has its key."""
    with (
        pytest.raises(ConfigException) as caught,
        client_with_identity(Kind(provider), "http://127.0.0.1:9", credential),
    ):
        pass
    assert (caught.value.code, caught.value.details.get_as_string("key")) == ("WRONG_IDENTITY", key)


def test_the_identity_of_lambda_is_awss_chain(function: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configured keys take precedence over it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "CHAINSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-chain")
    function.default = raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'
    )
    for kind in (kind for kind in KINDS if kind == "lambda"):
        with client_with_identity(kind, function.url) as client:
            assert client._call("get", "T", {}) == {"a": 1}
        assert b"Credential=CHAINSKEY/" in function.requests[-1].head
        keys = {"access_id": "OWNKEY", "access_key": "secret-of-its-own"}
        with client_with_identity(kind, function.url, keys) as client:
            client._call("get", "T", {})
        assert b"Credential=OWNKEY/" in function.requests[-1].head
