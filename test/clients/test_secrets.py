"""Secrets are sent in the request and appear nowhere else. No redirect, proxy or other host gets them."""

from __future__ import annotations

import asyncio
import gc
import html
import json
import logging
import os
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
from pip_services4_config.connect import MemoryDiscovery
from support import fault_server as fault
from support.clients import (
    ACCESS_KEY,
    AUTH_CODE,
    AUTH_TOKEN,
    CLIENTS,
    KINDS,
    SESSION_TOKEN,
    Kind,
    config_for,
    every_kind,
    failure,
    open_client,
)
from support.fault_server import FaultServer, Step
from support.faults import rejected
from support.interrupts import interrupting
from support.proxy import Proxy
from support.recorders import references_to
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


def test_the_watch_finds_a_secret(watch: Watch) -> None:
    """It finds one in each place that the other tests search."""
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


def without_other_secrets(text: str, provider: str) -> str:
    """The text without the secrets of other providers, which the client of this provider does not know."""
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
def test_secrets_in_an_error_response_are_masked(provider: str, watch: Watch, status: int, body: str) -> None:
    """Error pages that show the request's headers are masked before an error is made of them."""

    def echo_headers(request: fault.Request) -> Any:
        text = f"{AUTH_CODE} {AUTH_TOKEN} {ACCESS_KEY} " + request.head.decode()
        if body == "text":
            return status, {}, text.encode()
        if body == "toolkit":
            return status, {}, {"code": text, "message": text, "details": {"headers": text}, "stack_trace": text}
        return 200, {"X-Amz-Function-Error": "Unhandled"}, {"errorType": text, "errorMessage": text, "trace": [text]}

    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.echo(echo_headers)
        watch.note(failure(client))
        assert [text for text in watch.leaks() if MARK in without_other_secrets(text, provider)] == []


HTML = "<p>The request had {}"


def response_with(secret: str, place: str) -> Step:
    """A response that contains the secret in this place."""
    header = secret.encode()
    steps: dict[str, Callable[[], Step]] = {
        "status line": lambda: fault.bad_status_line(b"HTTP/" + header),
        "reason": lambda: fault.raw(b"HTTP/1.1 500 " + header + b"\r\nContent-Length: 0\r\n\r\n"),
        "chunk size": lambda: fault.raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + header + b"\r\n{}\r\n", then="close"
        ),
        "content type": lambda: fault.respond(200, b"<p>", content_type=secret),
        "content type of an error": lambda: fault.respond(500, b"<p>", content_type=secret),
        "error's name": lambda: fault.respond(500, b"", headers={"x-amzn-errortype": secret}),
        "any header": lambda: fault.respond(500, b"", headers={"X-Echo": secret}),
        "garbage headers": lambda: fault.garbage_headers(header + b" no colon here"),
        "redirect": lambda: fault.respond(302, b"", headers={"Location": f"http://127.0.0.1:9/?{secret}"}),
        "retry after": lambda: fault.respond(400, b"", headers={"Retry-After": secret}),
        "page": lambda: fault.respond(200, HTML.format(secret).encode()),
        "page at the cut": lambda: fault.respond(500, b"x" * 195 + header),
        "percent": lambda: fault.respond(500, "".join(f"%{byte:02X}" for byte in header).encode()),
        "bad gzip": lambda: fault.respond(200, header, headers={"Content-Encoding": "gzip"}),
        **{
            f"{kind} in {encoding}": partial(fault.respond, status, HTML.format(secret).encode(encoding))
            for kind, status in (("page", 200), ("error", 500))
            for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
        },
        "error as JSON in utf-16": lambda: fault.respond(
            500, json.dumps({"message": secret, secret: [secret]}).encode("utf-16")
        ),
        "function's error in utf-16": lambda: fault.respond(
            200,
            json.dumps({"errorMessage": secret, "errorType": secret}).encode("utf-16"),
            headers={"X-Amz-Function-Error": "Unhandled"},
        ),
    }
    return steps[place]()


PLACES = (
    *("status line", "reason", "chunk size", "content type", "content type of an error", "error's name", "any header"),
    *("garbage headers", "redirect", "retry after", "page", "page at the cut", "percent", "bad gzip"),
    *("page in utf-16", "page in utf-16-le", "page in utf-16-be", "page in utf-32", "page in utf-32-be"),
    *("error in utf-16", "error in utf-16-le", "error in utf-16-be", "error in utf-32", "error in utf-32-be"),
    *("error as JSON in utf-16", "function's error in utf-16"),
)


@pytest.mark.parametrize("place", PLACES)
def test_a_key_is_masked_wherever_a_response_contains_it(provider: str, watch: Watch, place: str) -> None:
    """It is masked in the error, in its causes, and in the logs of the libraries."""
    for secret in SECRETS[provider]:
        with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
            client.set_references(watch.references())
            server.default = response_with(secret, place)
            try:
                client._call("act", "test")
            except ApplicationException as error:
                watch.note(error)
            assert server.executions == 1
    watch.leaks()
    plain = [text.replace("\0", "").replace("\\x00", "").replace("\\\\x00", "") for text in watch.seen]
    assert [text for text in plain if MARK in text or "".join(f"%{ord(c):02X}" for c in MARK) in text] == []


def test_a_key_that_would_be_truncated_is_masked(provider: str) -> None:
    """No part of it is left at the end of a long text."""
    for length in range(440, 500, 7):
        with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
            server.default = fault.bad_status_line(b"HTTP/" + b"x" * length + SECRETS[provider][0].encode())
            error = failure(client)
        assert SECRETS[provider][0][:10] not in str(error.to_json())


def test_no_repr_of_an_open_client_shows_a_key(provider: str) -> None:
    """A debugger, a traceback with local variables, or a crash report would print it."""
    with FaultServer() as server, open_client(provider, server.url) as client:
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


def locals_of_libraries(error: BaseException) -> Iterator[str]:
    """The local variables of this package and of its libraries in the tracebacks of an error and its causes."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        item = waiting.pop()
        if item is not None:
            waiting += (item.__cause__, item.__context__)
            for frame, _ in traceback.walk_tb(item.__traceback__):
                if not frame.f_code.co_filename.startswith(str(Path(__file__).parents[1])):
                    yield from (f"{frame.f_code.co_qualname}: {value!r}" for value in frame.f_locals.values())


def test_local_variables_show_no_key(provider: str) -> None:
    """Crash reports contain local variables. If a call ends without a response, those could contain the request."""
    steps = (
        fault.respond(500),
        fault.silent(),
        fault.bad_status_line(),
        fault.reset_after_read(),
        fault.reset_while_reading(),
    )
    with FaultServer() as server, open_client(provider, server.url, timeout=200, retries=0) as client:
        for step in steps:
            server.default = step
            shown = list(locals_of_libraries(failure(client, params={"text": "x" * 200_000})))
            assert shown
            assert [text for text in shown if MARK in text or "AKID" in text] == []


def test_local_variables_of_an_interrupted_call_show_no_key(provider: str) -> None:
    """An interrupt or a cancellation keeps the frames that had the request."""

    async def cancelled() -> None:
        async with asyncio.timeout(0.1):
            await client.client.call("get")

    with interrupting() as interrupt, FaultServer() as server, open_client(provider, server.url) as client:
        if provider.is_async:  # type: ignore[attr-defined]
            server.default = fault.silent()
            with pytest.raises(TimeoutError) as caught:
                asyncio.run(cancelled())
        else:
            server.default = Step("interrupt", lambda _: interrupt())
            with pytest.raises(KeyboardInterrupt) as caught:  # type: ignore[assignment]
                client.call("get")
        shown = list(locals_of_libraries(caught.value))
    assert shown
    assert [text for text in shown if MARK in text or "AKID" in text] == []


def test_local_variables_of_a_failed_open_show_no_key(provider: str) -> None:
    """The client has read the keys before it finds that the CA bundle is missing."""
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, "https://127.0.0.1:9"))
    with environment(REQUESTS_CA_BUNDLE="/nowhere/ca.pem"), pytest.raises(ConfigException) as caught:
        client.open("T")
    shown = list(locals_of_libraries(caught.value))
    assert shown
    assert [text for text in shown if MARK in text] == []


class InterruptedDiscovery(MemoryDiscovery):
    def resolve_one(self, *_: object) -> Any:
        raise KeyboardInterrupt


def test_local_variables_of_an_interrupted_open_show_no_key(provider: str) -> None:
    """The client has read the keys before it looks up the connection."""
    client = CLIENTS[provider]("dummies")
    config = config_for(provider, "http://127.0.0.1:9")
    config.put("connection.discovery_key", "dummies")
    client.configure(config)
    client.set_references(references_to(discovery=InterruptedDiscovery()))
    with pytest.raises(KeyboardInterrupt) as caught:
        client.open("T")
    shown = list(locals_of_libraries(caught.value))
    assert shown
    assert [text for text in shown if MARK in text] == []


def test_an_exception_of_the_caller_is_not_masked(provider: str) -> None:
    """The exception that the caller is handling becomes the context of the error. It may hold the caller's settings."""
    settings = {"key": SECRETS[provider][0]}
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        for step in (fault.respond(500), fault.bad_status_line(), fault.respond(200, b"<p>")):
            server.default = step
            handled = LookupError(settings)
            chain: list[BaseException | None] = []
            try:
                raise handled
            except LookupError:
                chain.append(failure(client))
            while chain[-1]:
                chain.append(chain[-1].__context__)
            assert handled in chain
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
def test_a_secret_is_masked_in_every_encoding(secret: str, write: Callable[[str], str]) -> None:
    """It is masked in text and in bytes, and the text around it is kept."""
    whole = f"before {write(secret)} after {write(secret[:-1])} end"
    for shown in (mask_text(whole, [secret]), mask_bytes(whole.encode("latin-1"), [secret]).decode("latin-1")):
        assert shown.startswith("before ")
        assert shown.endswith(f" after {write(secret[:-1])} end")
        assert shown.replace("\0", "").replace("\\x00", "").count("***") == 1
        assert len(shown) < len(whole) - 2


@pytest.mark.parametrize("provider", [kind for kind in KINDS if kind != "lambda"], ids=lambda kind: kind.id)
def test_a_response_that_repeats_the_key_in_the_query_of_the_url_is_masked(provider: Kind) -> None:
    """A page of status 404 often shows the URL."""

    def act(connection: fault.Connection) -> None:
        assert connection.request
        text = f"{connection.request.path} not found, Sign/hunter2".encode()
        connection.send(b"".join(fault.response_bytes(404, text)))

    with FaultServer() as server:
        server.default = Step("echo the URL", act)
        client = CLIENTS[provider]("dummies")
        url = f"{server.url}/dummies?v=version-1&subscription-key=Subscription-hunter2&Sig=Sign%2Fhunter2"
        client.configure({"connection.uri": url})
        client.open("T")
        error = failure(client)
        client.close("T")
    shown = f"{error} {error.to_json()} {error.__notes__}"
    assert "/dummies?v=version-1&subscription-key=***&Sig=*** not found, ***" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("provider", [kind for kind in KINDS if kind != "lambda"], ids=lambda kind: kind.id)
def test_a_key_in_the_query_of_a_url_is_not_shown(provider: Kind, watch: Watch) -> None:
    """Azure API Management takes its `subscription-key` there."""
    client = CLIENTS[provider]("dummies")
    config = config_for(provider, "http://127.0.0.1:9", retries=0)
    config.put("connection.uri", "http://127.0.0.1:9/dummies?v=1&subscription-key=Subscription-hunter2-Q")
    client.configure(config)
    client.set_references(watch.references())
    client.open("T")
    error = failure(client)
    client.close("T")
    watch.note(error)
    assert [text for text in watch.leaks() if MARK in text] == []
    assert [text for text in locals_of_libraries(error) if MARK in text] == []
    assert str(client._connection).startswith("uri=http://127.0.0.1:9/dummies?v=1&subscription-key=***;")


@pytest.mark.timing
@pytest.mark.parametrize("status", [200, 500])
def test_masking_a_long_response_takes_little_time(provider: str, status: int) -> None:
    """No timeout limits it, and it would block an event loop. The client uses only the beginning of a longer body."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.respond(status, b"<p>%41" + AUTH_CODE.encode() + b"&#65;" * 2_400_000)
        began = time.process_time()
        error = failure(client)
        assert time.process_time() - began < 3
    assert error.status == 500
    longest = max(len(getattr(error.__cause__, name, "")) for name in ("doc", "object", "args"))
    assert longest <= 256 * 1024


@given(st.text("abAB\\\"'&%+/=0\0 x", max_size=40), st.sampled_from(["ab\\+/=AB", "aaaaaab"]))
@settings(max_examples=200, deadline=None)
def test_masking_changes_nothing_else(text: str, secret: str) -> None:
    """Masking keeps a text without the secret, and masking twice changes nothing more."""
    shown = mask_text(f"{text}{secret}{text}", [secret])
    assert secret not in shown
    assert mask_text(shown, [secret]) == shown
    if "a" not in text.lower():
        assert mask_text(text, [secret]) == text
        assert shown == f"{text}***{text}"


def test_every_part_of_an_error_is_masked() -> None:
    """This includes deeply nested JSON, and the attributes of exceptions that are written in C."""
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
    cause: BaseException | None = error
    while cause:
        watch.seen.append(repr([getattr(cause, name, "") for name in ("object", "doc", "strerror", "filename")]))
        cause = cause.__cause__ or cause.__context__
    assert watch.leaks() == []


def test_a_wrong_log_call_does_not_raise(watch: Watch) -> None:
    """A wrong log call of a library must not end the client's call. Its text is masked."""
    secrets = Secrets(AUTH_CODE)
    mask_in_logs(secrets)
    logger = logging.getLogger("urllib3.connectionpool")
    logger.debug("%d bytes", "many")
    logger.debug(f"%(name)s and {AUTH_CODE}", "no mapping")
    assert [text for text in watch.seen if text in ("%d bytes", "%(name)s and ***")] == ["%d bytes", "%(name)s and ***"]
    assert watch.leaks() == []


class Unreadable(Exception):  # noqa: N818
    """Its text and its `repr` raise, as those of an object that was not completely made."""

    def __repr__(self) -> str:
        raise AttributeError(AUTH_CODE)

    __str__ = __repr__


def test_a_log_record_that_cannot_be_shown_does_not_raise(watch: Watch) -> None:
    """The standard library does not raise either. These loggers are also those of the user's own boto3 clients."""
    secrets = Secrets(AUTH_CODE)
    mask_in_logs(secrets)
    logger = logging.getLogger("botocore.endpoint")
    logger.debug("Params: %s", Unreadable())
    logger.debug(Unreadable())
    try:
        raise Unreadable(AUTH_CODE)
    except Unreadable:
        logger.debug("Failed", exc_info=True)
    assert watch.seen[::2] == ["Params: %s", "Unreadable", "Failed\nUnreadable, whose text cannot be read"]
    assert watch.leaks() == []


def test_logs_are_masked_while_a_client_exists(watch: Watch) -> None:
    """They are not masked after that, because the process no longer holds the secret."""
    secrets = Secrets("Freed-hunter2-F")
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
    logging.getLogger("botocore.parsers").debug("Freed-hunter2-F")
    assert len(watch.leaks()) == 2  # the message, and the record


def test_a_proxys_password_is_not_shown(provider: str, watch: Watch) -> None:
    """It is not shown when the proxy works, when it rejects the client, or when there is none."""
    with Proxy() as proxy, Proxy(credentials="Basic none") as strict, FaultServer() as server:
        for port in (proxy.port, strict.port):
            with (
                environment(http_proxy=f"http://{PROXY_USER}@127.0.0.1:{port}"),
                open_client(provider, server.url, retries=0) as client,
            ):
                client.set_references(watch.references())
                try:
                    client._call("act", "test")
                except ApplicationException as error:
                    watch.note(error)
        assert PROXY_BASIC in proxy.received.decode()
    with (
        fault.refused_port() as port,
        environment(http_proxy=f"http://{PROXY_USER}@127.0.0.1:{port}"),
        open_client(provider, "http://127.0.0.1:9", retries=0) as client,
    ):
        refused = failure(client)
        assert refused.code == "CANNOT_CONNECT"
        assert refused.message.startswith(f"Could not connect to 127.0.0.1 through the proxy 127.0.0.1:{port}: [")
        watch.note(refused)
    assert watch.leaks() == []
    assert [text for text in locals_of_libraries(refused) if MARK in text] == []


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "", "[::1", "127.0.0.1:port"])
def test_the_password_in_a_wrong_proxy_url_is_not_shown(provider: str, watch: Watch, address: str) -> None:
    """`open` raises an error for such a URL."""
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, "http://host.invalid"))
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
def test_a_key_over_plain_http_logs_one_warning(provider: str, watch: Watch, url: str, warnings: int) -> None:
    """Each `open` logs one, unless the host is this machine. It shows no key."""
    client = CLIENTS[provider]("dummies")
    client.set_references(watch.references())
    client.configure(config_for(provider, url))
    client.open("test")
    client.open("test")
    client.close("test")
    assert watch.warnings == warnings
    assert watch.leaks() == []


def test_plain_http_without_a_key_logs_no_warning(watch: Watch) -> None:
    """A call of an anonymous function contains no secret."""
    client = CLIENTS["azure"]("dummies")
    client.set_references(watch.references())
    client.configure(ConfigParams.from_tuples("connection.uri", "http://10.0.0.1/api/f"))
    client.open("test")
    client.close("test")
    assert watch.warnings == 0


LINE_BREAK = "x\r\nX-Evil: 1\r\n\r\n"


@pytest.mark.parametrize("key", ["auth_code", "access_id", "access_key", "session_token"])
def test_a_line_break_in_a_key_is_rejected(key: str) -> None:
    """The text after it would become another header."""
    provider = "azure" if key == "auth_code" else "lambda"
    client = CLIENTS[provider]("dummies")
    config = config_for(provider, "http://127.0.0.1:9")
    config.put(f"credential.{key}", LINE_BREAK + MARK)
    client.configure(config)
    with pytest.raises(ConfigException) as caught:
        client.open("test")
    assert key in str(caught.value)
    assert MARK not in str(caught.value)


def test_a_line_break_in_a_command_or_trace_id_adds_no_header(provider: str) -> None:
    """Both are sent only in the body."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client._call(LINE_BREAK, LINE_BREAK, {LINE_BREAK: LINE_BREAK})
        (request,) = server.requests
    assert request.headers["X-Evil"] is None
    assert (request.json()["cmd"], request.json()["trace_id"]) == (LINE_BREAK, LINE_BREAK)


def test_netrc_does_not_change_the_request(provider: str, tmp_path: Path) -> None:
    """Its entries for the host are not sent."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword else\ndefault login a password b\n")
    netrc.chmod(0o600)
    with (
        environment(NETRC=str(netrc), HOME=str(tmp_path)),
        FaultServer() as server,
        open_client(provider, server.url) as client,
    ):
        client._call("act", "test")
        (request,) = server.requests
    sent = request.headers["Authorization"]
    if provider == "azure":
        assert (sent, request.headers["x-functions-key"]) == (None, AUTH_CODE)
    else:
        assert sent.startswith({"google": f"Bearer {AUTH_TOKEN}", "lambda": "AWS4-HMAC-SHA256 "}[provider])


@pytest.mark.parametrize("to", ["another host", "itself"])
def test_a_redirect_is_not_followed(provider: str, to: str) -> None:
    """The client does not connect to the other host, and does not repeat the request."""
    with FaultServer() as server, FaultServer() as other, open_client(provider, server.url) as client:
        location = other.url.replace("127.0.0.1", "localhost") if to == "another host" else "/api/dummies"
        server.default = fault.respond(307, headers={"Location": location})
        assert failure(client).code == "UNEXPECTED_REDIRECT"
        assert (other.connections, server.executions) == (0, 1)


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("azure", "http_proxy"),
        ("azure", "HTTPS_PROXY"),
        ("azure", "all_proxy"),  # botocore does not support it
        ("lambda", "http_proxy"),
        ("lambda", "HTTPS_PROXY"),
    ],
)
def test_proxies_of_the_environment_are_used(provider: str, variable: str) -> None:
    """The proxy forwards http and tunnels https. In a tunnel, it sees no secret."""
    tls = "good" if variable == "HTTPS_PROXY" else None
    with FaultServer(tls) as server, Proxy() as proxy:
        variables = {variable: f"http://127.0.0.1:{proxy.port}"}
        if server.ca_bundle:
            variables["REQUESTS_CA_BUNDLE"] = server.ca_bundle
        with environment(**variables), open_client(provider, server.url) as client:
            for _ in range(2):
                assert client._call("act", "test", {"a": 1})["a"] == 1
        assert server.executions == 2
        assert server.connections == 1
        (first_line,) = proxy.request_lines
        assert first_line.startswith(f"CONNECT 127.0.0.1:{server.port}" if tls else f"POST {server.url}/")
        assert (MARK.encode() in proxy.received) is not bool(tls)


def test_a_proxy_url_needs_no_scheme(provider: str) -> None:
    """The same is true of curl, requests and boto3."""
    with (
        FaultServer() as server,
        Proxy() as proxy,
        environment(http_proxy=f"127.0.0.1:{proxy.port}"),
        open_client(provider, server.url) as client,
    ):
        client._call("act", "test")
        assert (len(proxy.request_lines), server.executions) == (1, 1)


def test_a_host_in_no_proxy_is_called_directly(provider: str) -> None:
    """The proxy gets no request."""
    with (
        FaultServer() as server,
        Proxy() as proxy,
        environment(http_proxy=f"http://127.0.0.1:{proxy.port}", no_proxy="127.0.0.1"),
        open_client(provider, server.url) as client,
    ):
        client._call("act", "test")
        assert (proxy.request_lines, server.executions) == ([], 1)


@pytest.mark.timing
@pytest.mark.parametrize("tunnel", ["refused", "silent", "garbage"])
def test_a_failed_tunnel_is_a_failed_connection(provider: str, tunnel: str) -> None:
    """The server received nothing, so `CANNOT_CONNECT` is retried. `connect_timeout` limits the attempt."""
    step = {"refused": rejected(407), "silent": fault.silent(), "garbage": fault.bad_status_line()}[tunnel]
    with FaultServer() as proxy, environment(HTTPS_PROXY=proxy.url):
        proxy.default = step
        connect_timeout = 200 if tunnel == "silent" else 5000
        options: dict[str, Any] = {"retries": 1, "connect_timeout": connect_timeout, "timeout": 10_000}
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
    """A server whose certificate is from a private authority is called."""
    with (
        FaultServer("good") as server,
        environment(**{variable: server.ca_bundle or ""}),
        open_client(provider, server.url) as client,
    ):
        assert client._call("act", "test", {"a": 1})["a"] == 1


@pytest.mark.parametrize(("provider", "variable"), BUNDLES)
def test_open_raises_for_a_missing_ca_bundle(provider: str, variable: str, tmp_path: Path) -> None:
    """A missing file is not treated as an empty variable."""
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, "https://127.0.0.1:9"))
    with environment(**{variable: str(tmp_path / "none.pem")}), pytest.raises(ConfigException, match=r"none\.pem"):
        client.open("test")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_an_empty_variable_selects_the_default_authorities(provider: str, variable: str) -> None:
    """A client opens with an empty variable, and does not trust a private authority."""
    with (
        FaultServer("unknown_ca") as server,
        environment(**{variable: ""}),
        open_client(provider, server.url, retries=0) as client,
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
def test_no_variable_disables_verification(provider: str, variables: dict[str, str], tls: str) -> None:
    """A server without a valid certificate receives no request, whatever the environment variables are."""
    with FaultServer(tls) as server, environment(**variables):
        try:
            with open_client(provider, server.url, retries=0) as client:
                assert failure(client).code == "CANNOT_CONNECT"
        except ConfigException as error:
            assert "CA bundle" in str(error) or "CA certificate bundle" in str(error)  # noqa: PT017
        server.wait_for(closed=server.connections)
        assert server.executions == 0
