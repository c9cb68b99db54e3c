"""No secret leaves but in the request itself, and nobody comes between a client and its far side."""

from __future__ import annotations

import asyncio
import gc
import html
import json
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ApplicationException, ConfigException
from pip_services4_components.config import ConfigParams
from support import fault_server as server
from support.clients import (
    ACCESS_KEY,
    AUTH_CODE,
    AUTH_TOKEN,
    CLIENTS,
    SESSION_TOKEN,
    config_for,
    every_kind,
    failure,
    open_client,
)
from support.fault_server import FaultServer, Step
from support.faults import rejected
from support.proxy import Proxy
from support.watch import MARK, PROXY_BASIC, PROXY_USER, URL_KEY, Watch

from pip_services4_serverless._rules.secrets import Secrets, mask_bytes, mask_error, mask_text
from pip_services4_serverless.clients._log_filter import mask_in_logs

provider = every_kind


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def test_the_watch_sees_a_leak(watch: Watch) -> None:
    """What the tests above search is what is written: one secret in each place is found in each."""
    logging.getLogger("botocore.anything").debug("%s", AUTH_CODE)
    watch.info(None, "%s", URL_KEY)
    watch.increment_one(ACCESS_KEY)
    try:
        try:
            raise ValueError(SESSION_TOKEN)
        except ValueError as inner:
            raise ApplicationException(None, None, "fine") from inner
    except ApplicationException as error:
        watch.note(error)
    found = " ".join(watch.leaks())
    assert all(secret in found for secret in (AUTH_CODE, URL_KEY, ACCESS_KEY, SESSION_TOKEN))


SECRETS = {"azure": (AUTH_CODE,), "google": (AUTH_TOKEN,), "lambda": (ACCESS_KEY, SESSION_TOKEN)}


def without_others(text: str, provider: str) -> str:
    """A text without the secrets of other providers, which are no secrets of this one's client."""
    for other in SECRETS.keys() - {provider}:
        for secret in SECRETS[other]:
            text = text.replace(secret, "")
    return text


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("azure", "text"),
        ("azure", "toolkit"),
        ("google", "text"),
        ("google", "toolkit"),
        ("lambda", "text"),
        ("lambda", "toolkit"),
        ("lambda", "function"),
    ],
)
def test_a_far_side_that_repeats_the_key_is_not_quoted(provider: str, watch: Watch, status: int, body: str) -> None:
    """Error pages that show the request's headers are masked before anything is made of them."""

    def echo_headers(request: server.Request) -> Any:
        told = f"{AUTH_CODE} {AUTH_TOKEN} {ACCESS_KEY} " + request.head.decode()
        if body == "text":
            return status, {}, told.encode()
        if body == "toolkit":
            return status, {}, {"code": told, "message": told, "details": {"headers": told}, "stack_trace": told}
        return 200, {"X-Amz-Function-Error": "Unhandled"}, {"errorType": told, "errorMessage": told, "trace": [told]}

    with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
        far_side.default = server.echo(echo_headers)
        watch.note(failure(client))
        assert [text for text in watch.leaks() if MARK in without_others(text, provider)] == []


HTML = "<p>The request had {}"


def repeat(told: str, how: str) -> Step:
    """An answer that repeats what it was told, outside of an error's body or in a body of another encoding."""
    header = told.encode()
    steps: dict[str, Callable[[], Step]] = {
        "status line": lambda: server.bad_status_line(b"HTTP/" + header),
        "reason": lambda: server.raw(b"HTTP/1.1 500 " + header + b"\r\nContent-Length: 0\r\n\r\n"),
        "chunk size": lambda: server.raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + header + b"\r\n{}\r\n", then="close"
        ),
        "content type": lambda: server.respond(200, b"<p>", content_type=told),
        "content type of an error": lambda: server.respond(500, b"<p>", content_type=told),
        "error's name": lambda: server.respond(500, b"", headers={"x-amzn-errortype": told}),
        "any header": lambda: server.respond(500, b"", headers={"X-Echo": told}),
        "garbage headers": lambda: server.garbage_headers(header + b" no colon here"),
        "redirect": lambda: server.respond(302, b"", headers={"Location": f"http://127.0.0.1:9/?{told}"}),
        "retry after": lambda: server.respond(400, b"", headers={"Retry-After": told}),
        "page": lambda: server.respond(200, HTML.format(told).encode()),
        "page at the cut": lambda: server.respond(500, b"x" * 195 + header),
        "percent": lambda: server.respond(500, "".join(f"%{byte:02X}" for byte in header).encode()),
        "bad gzip": lambda: server.respond(200, header, headers={"Content-Encoding": "gzip"}),
        **{
            f"{kind} in {encoding}": partial(server.respond, status, HTML.format(told).encode(encoding))
            for kind, status in (("page", 200), ("error", 500))
            for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
        },
        "error as JSON in utf-16": lambda: server.respond(
            500, json.dumps({"message": told, told: [told]}).encode("utf-16")
        ),
        "function's error in utf-16": lambda: server.respond(
            200,
            json.dumps({"errorMessage": told, "errorType": told}).encode("utf-16"),
            headers={"X-Amz-Function-Error": "Unhandled"},
        ),
    }
    return steps[how]()


PLACES = (
    *("status line", "reason", "chunk size", "content type", "content type of an error", "error's name", "any header"),
    *("garbage headers", "redirect", "retry after", "page", "page at the cut", "percent", "bad gzip"),
    *("page in utf-16", "page in utf-16-le", "page in utf-16-be", "page in utf-32", "page in utf-32-be"),
    *("error in utf-16", "error in utf-16-le", "error in utf-16-be", "error in utf-32", "error in utf-32-be"),
    *("error as JSON in utf-16", "function's error in utf-16"),
)


@pytest.mark.parametrize("how", PLACES)
def test_a_key_is_masked_wherever_the_far_side_repeats_it(provider: str, watch: Watch, how: str) -> None:
    """In the error, in all that stands behind it, and in the libraries' logs."""
    for told in SECRETS[provider]:
        with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
            client.set_references(watch.references())
            far_side.default = repeat(told, how)
            try:
                client._call("act", "test")
            except ApplicationException as error:
                watch.note(error)
            assert far_side.executions == 1
    watch.leaks()
    plain = [text.replace("\0", "").replace("\\x00", "").replace("\\\\x00", "") for text in watch.seen]
    assert [text for text in plain if MARK in text or "".join(f"%{ord(c):02X}" for c in MARK) in text] == []


def test_a_key_that_is_cut_is_masked_whole(provider: str) -> None:
    """Not the half of it that is left at the end of a long text."""
    for length in range(440, 500, 7):
        with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
            far_side.default = server.bad_status_line(b"HTTP/" + b"x" * length + SECRETS[provider][0].encode())
            error = failure(client)
        assert SECRETS[provider][0][:10] not in str(error.to_json())


def test_what_an_open_client_holds_shows_no_key(provider: str) -> None:
    """Where a debugger, a traceback with locals or a crash report prints it."""
    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        client._call("act", "test")
        state = client._state
        assert state
        shown = [repr(state), repr(state.transport), str(state.transport), repr(state.transport.secrets)]
        shown += [repr(part) for part in state.transport.handle] + [repr(value) for value in vars(client).values()]
        shown += [repr(vars(client._connection_resolver)), repr(client._connection)]
        if provider != "lambda" and not provider.is_async:  # type: ignore[attr-defined]
            session = state.transport.handle.session
            request = session.make_request(b"{}")
            headers = (session.headers, request.headers, request.copy().headers, dict(session.headers))
            shown += [text for held in headers for text in (repr(held), str(held))]
            shown += [repr(list(session.headers.items())), repr(vars(request)), repr(vars(session))]
        assert list(state.transport.secrets) == list(SECRETS[provider])
    assert [text for text in shown if MARK in text] == []


def locals_below(error: BaseException) -> Iterator[str]:
    """The local variables of this package and of the libraries below it, on the way of an error and those behind it."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        item = waiting.pop()
        if item is not None:
            waiting += (item.__cause__, item.__context__)
            for frame, _ in traceback.walk_tb(item.__traceback__):
                if not frame.f_code.co_filename.startswith(str(Path(__file__).parents[1])):
                    yield from (f"{frame.f_code.co_qualname}: {value!r}" for value in frame.f_locals.values())


def test_local_variables_show_no_key(provider: str) -> None:
    """Where a crash report has them: of a call that ends without a response, they would have the whole request."""
    steps = (
        server.respond(500),
        server.silent(),
        server.bad_status_line(),
        server.reset_after_read(),
        server.reset_while_reading(),
    )
    with FaultServer() as far_side, open_client(provider, far_side.url, timeout=200, retries=0) as client:
        for step in steps:
            far_side.default = step
            shown = list(locals_below(failure(client, params={"text": "x" * 200_000})))
            assert shown
            assert [text for text in shown if MARK in text or "AKID" in text] == []


def test_local_variables_of_a_call_that_is_broken_off_show_no_key(provider: str) -> None:
    """An interrupt or a cancellation leaves the call as it is, with the frames that had the whole request."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def act(connection: server.Connection) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        connection.hold()

    async def cancelled() -> None:
        async with asyncio.timeout(0.1):
            await client.client.call("get")

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with FaultServer() as far_side, open_client(provider, far_side.url) as client:
            if provider.is_async:  # type: ignore[attr-defined]
                far_side.default = server.silent()
                with pytest.raises(TimeoutError) as caught:
                    asyncio.run(cancelled())
            else:
                far_side.default = Step("interrupt", act)
                with pytest.raises(KeyboardInterrupt) as caught:  # type: ignore[assignment]
                    client.call("get")
            shown = list(locals_below(caught.value))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert shown
    assert [text for text in shown if MARK in text or "AKID" in text] == []


def test_local_variables_of_a_failed_open_show_no_key(provider: str) -> None:
    """The keys have been read when the certificates turn out to be missing."""
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, "https://127.0.0.1:9"))
    with environment(REQUESTS_CA_BUNDLE="/nowhere/ca.pem"), pytest.raises(ConfigException) as caught:
        client.open("T")
    shown = list(locals_below(caught.value))
    assert shown
    assert [text for text in shown if MARK in text] == []


def test_an_exception_of_the_caller_is_left_alone(provider: str) -> None:
    """A call that fails while another error is handled has it behind it; it may hold the caller's own settings."""
    settings = {"key": SECRETS[provider][0]}
    with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
        for step in (server.respond(500), server.bad_status_line(), server.respond(200, b"<p>")):
            far_side.default = step
            handled = LookupError(settings)
            behind: list[BaseException | None] = []
            try:
                raise handled
            except LookupError:
                behind.append(failure(client))
            while behind[-1]:
                behind.append(behind[-1].__context__)
            assert handled in behind
            assert handled.args == ({"key": SECRETS[provider][0]},)


@pytest.mark.parametrize("secret", ["abc+d/f==", "a\"b\\c'd", "a\\\\b&c<d>", "x" * 400 + "+y"])
@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        json.dumps,
        lambda text: json.dumps(json.dumps(text)),
        lambda text: json.dumps(text).replace("/", "\\/"),
        lambda text: "".join(f"\\u{ord(character):04X}" for character in text),
        lambda text: repr("".join(f"\\u{ord(character):04x}" for character in text)),
        lambda text: quote(text, safe=""),
        html.escape,
        lambda text: "".join(f"&#{ord(character)};" for character in text),
        lambda text: text.encode("utf-16").decode("latin-1"),
        lambda text: repr(text.encode("utf-16-be")),
        lambda text: repr(text.encode("utf-32")),
        lambda text: json.dumps(text).encode("utf-16").decode("latin-1"),
    ],
)
def test_a_secret_is_masked_however_it_is_written(secret: str, write: Callable[[str], str]) -> None:
    """As text and as bytes, and nothing beside it."""
    whole = f"before {write(secret)} after {write(secret[:-1])} end"
    for shown in (mask_text(whole, [secret]), mask_bytes(whole.encode("latin-1"), [secret]).decode("latin-1")):
        assert shown.startswith("before ")
        assert shown.endswith(f" after {write(secret[:-1])} end")
        assert shown.replace("\0", "").replace("\\x00", "").count("***") == 1
        assert len(shown) < len(whole) - 2


@pytest.mark.timing
@pytest.mark.parametrize("status", [200, 500])
def test_masking_a_long_response_takes_little_time(provider: str, status: int) -> None:
    """No timeout limits it, and it would block an event loop. The client uses only the beginning of a longer body."""
    with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
        far_side.default = server.respond(status, b"<p>%41" + AUTH_CODE.encode() + b"&#65;" * 2_400_000)
        began = time.process_time()
        error = failure(client)
        assert time.process_time() - began < 3
    assert error.status == 500
    longest = max(len(getattr(error.__cause__, name, "")) for name in ("doc", "object", "args"))
    assert longest <= 256 * 1024


@given(st.text("abAB\\\"'&%+/=0\0 x", max_size=40), st.sampled_from(["ab\\+/=AB", "aaaaaab"]))
@settings(max_examples=200, deadline=None)
def test_masking_takes_away_nothing_else(text: str, secret: str) -> None:
    """A text without the secret stays; with it, all but the secret does; twice is once."""
    shown = mask_text(f"{text}{secret}{text}", [secret])
    assert secret not in shown
    assert mask_text(shown, [secret]) == shown
    if "a" not in text.lower():
        assert mask_text(text, [secret]) == text
        assert shown == f"{text}***{text}"


def test_all_parts_of_an_error_are_masked() -> None:
    """Also what JSON nested deeper than Python's stack, and what exceptions written in C keep for themselves."""
    deep: Any = [AUTH_CODE]
    for _ in range(50_000):
        deep = [deep]
    error = ApplicationException("T", AUTH_CODE, AUTH_CODE).with_details(AUTH_CODE, {"a": [AUTH_CODE, (AUTH_CODE,)]})
    error.details.put("deep", "")
    dict.__setitem__(error.details, "deep", deep)
    error.stack_trace, error.category = AUTH_CODE, AUTH_CODE
    error.add_note(AUTH_CODE)
    error.__cause__ = UnicodeDecodeError("utf-8", b"\xff" + AUTH_CODE.encode(), 0, 20, AUTH_CODE)
    error.__cause__.__context__ = json.JSONDecodeError(AUTH_CODE, AUTH_CODE, 0)
    error.__cause__.__context__.__cause__ = OSError(5, AUTH_CODE, AUTH_CODE)
    error.__cause__.__context__.__cause__.__cause__ = ExceptionGroup("", [ValueError(ValueError(AUTH_CODE))])
    mask_error(error, [AUTH_CODE])
    while isinstance(deep[0], list):
        deep = deep[0]
    assert deep == ["***"]
    error.details.put("deep", "")

    watch = Watch()
    watch.note(error)
    behind: BaseException | None = error
    while behind:
        watch.seen.append(repr([getattr(behind, name, "") for name in ("object", "doc", "strerror", "filename")]))
        behind = behind.__cause__ or behind.__context__
    assert watch.leaks() == []


def test_a_log_call_that_is_wrong_raises_nothing(watch: Watch) -> None:
    """In the library that makes it, and so in the call; its text is masked."""
    secrets = Secrets(AUTH_CODE)
    mask_in_logs(secrets)
    logger = logging.getLogger("urllib3.connectionpool")
    logger.debug("%d bytes", "many")
    logger.debug(f"%(name)s and {AUTH_CODE}", "no mapping")
    assert [text for text in watch.seen if text in ("%d bytes", "%(name)s and ***")] == ["%d bytes", "%(name)s and ***"]
    assert watch.leaks() == []


def test_logs_are_masked_as_long_as_a_client_is_held(watch: Watch) -> None:
    """And not after: what was let go is no secret of this process any more."""
    secrets = Secrets("LetGo-hunter2-F")
    mask_in_logs(secrets)
    mask_in_logs(Secrets())
    logging.getLogger("botocore.parsers").debug("Response headers: %r", {"X-Echo": secrets[0]})
    try:
        raise ValueError(secrets[0])
    except ValueError:
        logging.getLogger("urllib3.connection").warning("Failed to parse headers", exc_info=True)
    assert watch.leaks() == []
    del secrets
    gc.collect()
    logging.getLogger("botocore.parsers").debug("LetGo-hunter2-F")
    assert len(watch.leaks()) == 2  # the message, and the record


def test_a_proxys_password_is_not_shown(provider: str, watch: Watch) -> None:
    """Neither when the proxy works, nor when it refuses or is not there."""
    with Proxy() as proxy, Proxy(credentials="Basic none") as strict, FaultServer() as far_side:
        for port in (proxy.port, strict.port):
            with (
                environment(http_proxy=f"http://{PROXY_USER}@127.0.0.1:{port}"),
                open_client(provider, far_side.url, retries=0) as client,
            ):
                client.set_references(watch.references())
                try:
                    client._call("act", "test")
                except ApplicationException as error:
                    watch.note(error)
        assert PROXY_BASIC in proxy.received.decode()
    with (
        server.refused_port() as port,
        environment(http_proxy=f"http://{PROXY_USER}@127.0.0.1:{port}"),
        open_client(provider, "http://127.0.0.1:9", retries=0) as client,
    ):
        refused = failure(client)
        assert refused.code == "CANNOT_CONNECT"
        assert refused.message.startswith(f"Could not connect to 127.0.0.1 through the proxy 127.0.0.1:{port}: [")
        watch.note(refused)
    assert watch.leaks() == []
    assert [text for text in locals_below(refused) if MARK in text] == []


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "", "[::1", "127.0.0.1:port"])
def test_a_wrong_proxys_password_is_not_shown(provider: str, watch: Watch, address: str) -> None:
    """Opening refuses it."""
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, "http://far.invalid"))
    client.set_references(watch.references())
    with environment(http_proxy=f"http://{PROXY_USER}@{address}"), pytest.raises(ConfigException) as caught:
        client.open("test")
    watch.note(caught.value)
    assert "proxy" in caught.value.message
    assert watch.leaks() == []


@pytest.mark.parametrize(
    ("url", "warnings"),
    [
        ("http://10.0.0.1", 1),
        ("http://shop.invalid:7071", 1),
        ("http://[2001:db8::1]", 1),
        ("http://localhost.invalid", 1),
        ("http://127.0.0.1", 0),
        ("http://127.8.9.1:80", 0),
        ("http://[::1]:80", 0),
        ("http://localhost", 0),
        ("http://LOCALHOST:1", 0),
        ("http://functions.localhost", 0),
        ("https://10.0.0.1", 0),
        ("https://shop.invalid", 0),
    ],
)
def test_a_key_over_plain_http_is_warned_of_once(provider: str, watch: Watch, url: str, warnings: int) -> None:
    """One warning for each `open`, unless the host is this machine; it shows no key."""
    client = CLIENTS[provider]("dummies")
    client.set_references(watch.references())
    client.configure(config_for(provider, url))
    client.open("test")
    client.open("test")
    client.close("test")
    assert watch.warnings == warnings
    assert watch.leaks() == []


def test_without_a_key_plain_http_is_nothing_to_warn_of(watch: Watch) -> None:
    """An anonymous function has nothing that could be read on the way but its data."""
    client = CLIENTS["azure"]("dummies")
    client.set_references(watch.references())
    client.configure(ConfigParams.from_tuples("connection.uri", "http://10.0.0.1/api/f"))
    client.open("test")
    client.close("test")
    assert watch.warnings == 0


BREAK = "x\r\nX-Evil: 1\r\n\r\n"


@pytest.mark.parametrize("key", ["auth_code", "access_id", "access_key", "session_token"])
def test_a_line_break_in_a_key_is_refused(key: str) -> None:
    """It would be a header of somebody else's making."""
    provider = "azure" if key == "auth_code" else "lambda"
    client = CLIENTS[provider]("dummies")
    config = config_for(provider, "http://127.0.0.1:9")
    config.put(f"credential.{key}", BREAK + MARK)
    client.configure(config)
    with pytest.raises(ConfigException) as caught:
        client.open("test")
    assert key in str(caught.value)
    assert MARK not in str(caught.value)


def test_a_line_break_in_a_command_or_trace_id_makes_no_header(provider: str) -> None:
    """Both travel in the body alone."""
    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        client._call(BREAK, BREAK, {BREAK: BREAK})
        (request,) = far_side.requests
    assert request.headers["X-Evil"] is None
    assert (request.json()["cmd"], request.json()["trace_id"]) == (BREAK, BREAK)


def test_netrc_adds_and_replaces_nothing(provider: str, tmp_path: Path) -> None:
    """What stands there for the host is not sent."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword else\ndefault login a password b\n")
    netrc.chmod(0o600)
    with (
        environment(NETRC=str(netrc), HOME=str(tmp_path)),
        FaultServer() as far_side,
        open_client(provider, far_side.url) as client,
    ):
        client._call("act", "test")
        (request,) = far_side.requests
    sent = request.headers["Authorization"]
    if provider == "azure":
        assert (sent, request.headers["x-functions-key"]) == (None, AUTH_CODE)
    else:
        assert sent.startswith({"google": f"Bearer {AUTH_TOKEN}", "lambda": "AWS4-HMAC-SHA256 "}[provider])


@pytest.mark.parametrize("to", ["another host", "itself"])
def test_a_redirect_takes_the_key_nowhere(provider: str, to: str) -> None:
    """Not followed: the other host is not even connected to, and a loop is not entered."""
    with FaultServer() as far_side, FaultServer() as other, open_client(provider, far_side.url) as client:
        location = other.url.replace("127.0.0.1", "localhost") if to == "another host" else "/api/dummies"
        far_side.default = server.respond(307, headers={"Location": location})
        assert failure(client).code == "UNEXPECTED_REDIRECT"
        assert (other.connections, far_side.executions) == (0, 1)


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("azure", "http_proxy"),
        ("azure", "HTTPS_PROXY"),
        ("azure", "all_proxy"),  # botocore knows none
        ("lambda", "http_proxy"),
        ("lambda", "HTTPS_PROXY"),
    ],
)
def test_proxies_of_the_environment_are_used(provider: str, variable: str) -> None:
    """http is forwarded, https is tunnelled, and through a tunnel the proxy sees no secret."""
    tls = "good" if variable == "HTTPS_PROXY" else None
    with FaultServer(tls) as far_side, Proxy() as proxy:
        variables = {variable: f"http://127.0.0.1:{proxy.port}"}
        if far_side.ca_bundle:
            variables["REQUESTS_CA_BUNDLE"] = far_side.ca_bundle
        with environment(**variables), open_client(provider, far_side.url) as client:
            for _ in range(2):
                assert client._call("act", "test", {"a": 1})["a"] == 1
        assert far_side.executions == 2
        assert far_side.connections == 1
        (asked,) = proxy.request_lines
        assert asked.startswith(f"CONNECT 127.0.0.1:{far_side.port}" if tls else f"POST {far_side.url}/")
        assert (MARK.encode() in proxy.received) is not bool(tls)


def test_a_proxy_needs_no_scheme(provider: str) -> None:
    """As with curl, requests and boto3."""
    with (
        FaultServer() as far_side,
        Proxy() as proxy,
        environment(http_proxy=f"127.0.0.1:{proxy.port}"),
        open_client(provider, far_side.url) as client,
    ):
        client._call("act", "test")
        assert (len(proxy.request_lines), far_side.executions) == (1, 1)


def test_no_proxy_is_honoured(provider: str) -> None:
    """A host that is named there is called directly."""
    with (
        FaultServer() as far_side,
        Proxy() as proxy,
        environment(http_proxy=f"http://127.0.0.1:{proxy.port}", no_proxy="127.0.0.1"),
        open_client(provider, far_side.url) as client,
    ):
        client._call("act", "test")
        assert (proxy.request_lines, far_side.executions) == ([], 1)


@pytest.mark.timing
@pytest.mark.parametrize("tunnel", ["refused", "silent", "garbage"])
def test_a_tunnel_that_is_not_made_is_a_connection_that_is_not_made(provider: str, tunnel: str) -> None:
    """Nothing was sent to the far side: `CANNOT_CONNECT`, again, and in the time for connecting."""
    step = {"refused": rejected(407), "silent": server.silent(), "garbage": server.bad_status_line()}[tunnel]
    with FaultServer() as proxy, environment(HTTPS_PROXY=proxy.url):
        proxy.default = step
        patience = 200 if tunnel == "silent" else 5000
        options: dict[str, Any] = {"retries": 1, "connect_timeout": patience, "timeout": 10_000}
        with open_client(provider, "https://127.0.0.1:9", **options) as client:
            started = time.monotonic()
            error = failure(client)
            assert time.monotonic() - started < 2
        assert (error.code, error.status, proxy.steps.total()) == ("CANNOT_CONNECT", 503, 2)
        assert MARK.encode() not in b"".join(request.head for request in proxy.requests)


BUNDLES = [("azure", "REQUESTS_CA_BUNDLE"), ("azure", "CURL_CA_BUNDLE")]
BUNDLES += [("lambda", "AWS_CA_BUNDLE"), ("lambda", "REQUESTS_CA_BUNDLE")]


@pytest.mark.parametrize(("provider", "variable"), BUNDLES)
def test_a_ca_bundle_of_the_environment_is_trusted(provider: str, variable: str) -> None:
    """A far side with a certificate of one's own authority is called."""
    with (
        FaultServer("good") as far_side,
        environment(**{variable: far_side.ca_bundle or ""}),
        open_client(provider, far_side.url) as client,
    ):
        assert client._call("act", "test", {"a": 1})["a"] == 1


@pytest.mark.parametrize(("provider", "variable"), BUNDLES)
def test_a_ca_bundle_that_is_missing_is_told_at_open(provider: str, variable: str, tmp_path: Path) -> None:
    """And not taken for none."""
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, "https://127.0.0.1:9"))
    with environment(**{variable: str(tmp_path / "none.pem")}), pytest.raises(ConfigException, match=r"none\.pem"):
        client.open("test")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_an_empty_variable_means_the_default_authorities(provider: str, variable: str) -> None:
    """A client opens with it, and trusts no others."""
    with (
        FaultServer("unknown_ca") as far_side,
        environment(**{variable: ""}),
        open_client(provider, far_side.url, retries=0) as client,
    ):
        assert failure(client).code == "CANNOT_CONNECT"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", "AWS_CA_BUNDLE": ""},
        {"REQUESTS_CA_BUNDLE": "false", "AWS_CA_BUNDLE": "false"},
        {"REQUESTS_CA_BUNDLE": "0", "AWS_CA_BUNDLE": "0"},
        {"PYTHONHTTPSVERIFY": "0"},
        {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull},
    ],
    ids=str,
)
@pytest.mark.parametrize("tls", ["unknown_ca", "expired", "wrong_host"])
def test_no_variable_turns_verification_off(provider: str, variables: dict[str, str], tls: str) -> None:
    """A far side that cannot prove who it is gets nothing, whatever the environment says."""
    with FaultServer(tls) as far_side, environment(**variables):
        try:
            with open_client(provider, far_side.url, retries=0) as client:
                assert failure(client).code == "CANNOT_CONNECT"
        except ConfigException as error:
            assert "CA bundle" in str(error) or "CA certificate bundle" in str(error)  # noqa: PT017
        far_side.wait_for(closed=far_side.connections)
        assert far_side.executions == 0
