"""The faults of the fault matrix: how each is produced, and what the caller and the server must observe.

`stage` sets up a fault. `PYTHONPATH=test python -m support.faults` writes the table of all faults into
docs/reliability.md.
"""

from __future__ import annotations

import dataclasses
import email.utils
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConflictException,
    ConnectionException,
    InvocationException,
    NotFoundException,
    UnauthorizedException,
)
from pip_services4_components.config import ConfigParams

from pip_services4_serverless.clients import FunctionClient

from . import fault_server as server
from .clients import CLIENTS, config_for
from .fault_server import FaultServer, Step

DOCS = Path(__file__).parents[2] / "docs" / "reliability.md"
RETRIES = 1
SHORT = 150  # ms: the timeout that must end a fault that hangs
LONG = 20_000  # ms: a timeout that no fault may reach


class Outcome(NamedTuple):
    """The outcome of one call. `executed` counts the requests that the server may have run."""

    executed: int
    attempts: int
    error: type[ApplicationException] | None = None  # None: the call returns its result
    code: str = ""
    status: int = 0  # 0: the response's status


class Outcomes(NamedTuple):
    default: Outcome
    idempotent: Outcome


class Variant(NamedTuple):
    """The server's step for each attempt; the last one repeats. Most faults have one variant."""

    steps: Sequence[Step]
    status: int = 0


@dataclass(frozen=True)
class Fault:
    name: str
    azure: Outcomes | None  # and Google
    aws: Outcomes | None
    variants: Sequence[Variant] = ()
    ends: str = "immediately"  # or at "connect_timeout" or "timeout"
    tls: str | None = None
    before: Step | None = None  # the server's step for an earlier call of the same client
    place: Callable[[], AbstractContextManager[str]] | None = None  # the URL to call, when there is no fault server
    options: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    one_way: bool = False
    check: Callable[[Any], bool] = lambda value: value == {}

    @property
    def bound(self) -> float:
        """The seconds after which an attempt that hangs ends."""
        return float(self.options.get(self.ends, SHORT)) / 1000

    def outcomes(self, provider: str) -> Outcomes | None:
        return self.aws if provider == "lambda" else self.azure


class Stage(NamedTuple):
    """An open client, and the server that will fail."""

    client: FunctionClient
    server: FaultServer | None
    attempts: list[float]  # the time of each attempt

    def executed(self) -> int:
        """How many requests the server may have run: those that it read completely and did not reject."""
        return self.server.executions - self.server.steps["rejected"] if self.server else 0

    def respond_with(self, variant: Variant) -> None:
        """Make the server respond to the next call with this variant."""
        assert self.server
        self.server.script(*variant.steps[:-1])
        self.server.default = variant.steps[-1]


def change_nothing(client: FunctionClient, config: ConfigParams) -> None:
    """Leaves the client and its configuration unchanged."""


@contextmanager
def stage(
    fault: Fault,
    provider: str,
    idempotent: bool = False,
    prepare: Callable[[FunctionClient, ConfigParams], None] = change_nothing,
) -> Iterator[Stage]:
    """Start the server, and open a client that calls it. `prepare` may change the client before it is configured."""
    bounds: dict[str, Any] = {"connect_timeout": LONG, "timeout": LONG, "retries": RETRIES, "idempotent": idempotent}
    if fault.ends in bounds:
        bounds[fault.ends] = SHORT
    with ExitStack() as resources:
        far_side = None if fault.place else resources.enter_context(FaultServer(fault.tls))
        url = far_side.url if far_side else resources.enter_context(fault.place())  # type: ignore[misc]
        if far_side and far_side.ca_bundle:
            resources.enter_context(patch.dict(os.environ, REQUESTS_CA_BUNDLE=far_side.ca_bundle))
        client = CLIENTS[provider]("dummies")
        config = config_for(provider, url, **(bounds | dict(fault.options)))
        prepare(client, config)
        client.configure(config)
        client.open("test")
        resources.callback(client.close, "test")
        result = Stage(client, far_side, [])
        if fault.before:
            result.respond_with(Variant((fault.before,)))
            client._call("before", "test")
            assert far_side
            if fault.before.name == "idle_close":
                far_side.wait_for(closed=1)
            # Time must pass here: there is no event to wait for.
            threading.Event().wait(fault.options.get("idle_timeout", 0) / 100)
        _record_attempts(client, result.attempts)
        yield result


def _record_attempts(client: FunctionClient, attempts: list[float]) -> None:
    send = client._send

    def recorded(*args: Any) -> Any:
        attempts.append(time.monotonic())
        return send(*args)

    client._send = recorded  # type: ignore[assignment,method-assign]


def call(stage: Stage, fault: Fault, trace_id: str = "fault") -> Any:
    if fault.one_way:
        return stage.client.call_one_way("act", trace_id, fault.params)
    return stage.client.call_command("act", trace_id, fault.params)


# --- Outcomes ---


def returned(executed: int = 1, attempts: int = 1) -> Outcomes:
    return Outcomes(Outcome(executed, attempts), Outcome(executed, attempts))


def never_retried(error: type[ApplicationException], code: str, status: int = 0, executed: int = 1) -> Outcomes:
    return Outcomes(Outcome(executed, 1, error, code, status), Outcome(executed, 1, error, code, status))


def retried_if_idempotent(error: type[ApplicationException], code: str, status: int = 0, executed: int = 1) -> Outcomes:
    return Outcomes(Outcome(executed, 1, error, code, status), Outcome(2 * executed, 2, error, code, status))


def always_retried(error: type[ApplicationException], code: str, status: int = 0) -> Outcomes:
    return Outcomes(Outcome(0, 2, error, code, status), Outcome(0, 2, error, code, status))


UNSENT = always_retried(ConnectionException, "CANNOT_CONNECT", 503)
TIMEOUT = retried_if_idempotent(ConnectionException, "CALL_TIMEOUT", 504)
LOST = retried_if_idempotent(ConnectionException, "NO_RESPONSE", 502)
LOST_UNREAD = retried_if_idempotent(ConnectionException, "NO_RESPONSE", 502, executed=0)
NOT_DECODABLE = never_retried(InvocationException, "DESERIALIZATION_FAILED", 500)
TOO_LARGE = never_retried(InvocationException, "RESPONSE_TOO_LARGE", 500)
FAILED = never_retried(InvocationException, "CALL_FAILED")
GATEWAY_FAILED = retried_if_idempotent(InvocationException, "CALL_FAILED")
REJECTED = always_retried(InvocationException, "CALL_FAILED", 503)
THROTTLED = always_retried(InvocationException, "TOO_MANY_REQUESTS", 429)


# --- The steps of the faults ---


def rejected(status: int, **of: Any) -> Step:
    """The response of a front end that did not run the function."""
    return dataclasses.replace(server.respond(status, **of), name="rejected")


def one(step: Step) -> tuple[Variant, ...]:
    return (Variant((step,)),)


def each(*steps: Step) -> tuple[Variant, ...]:
    return tuple(Variant((step,)) for step in steps)


def lazy(make: Callable[[], Step]) -> Step:
    """Makes the step only when it is needed, because some responses are large."""
    return Step("lazy", lambda connection: make().act(connection))


def statuses(*numbers: int, make: Callable[..., Step] = server.respond, **of: Any) -> tuple[Variant, ...]:
    of = {"body": b"<h1>No</h1>", "content_type": "text/html"} | of
    return tuple(Variant((make(number, **of),), number) for number in numbers)


def function_error(body: Any, status: int = 200) -> Step:
    return server.respond(status, body, headers={"X-Amz-Function-Error": "Unhandled"})


def aws_error(status: int, name: str, make: Callable[..., Step] = server.respond) -> Variant:
    return Variant((make(status, body={"message": "No"}, headers={"x-amzn-errortype": name}),), status)


@contextmanager
def _name_not_found() -> Iterator[str]:
    yield f"http://{server.NAME_NOT_FOUND}"


@contextmanager
def _refused() -> Iterator[str]:
    with server.refused_port() as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _full_backlog() -> Iterator[str]:
    with server.full_backlog() as port:
        yield f"http://127.0.0.1:{port}"


# Statuses that some library or proxy treats specially, and the ends of each range. The unit tests of the rules cover
# every number.
_3XX = (*range(300, 309), 399)
_OTHERS_4XX = (402, 405, 406, 407, 408, 410, 411, 412, 414, 415, 416, 417, 418, 421, 422, 425, 426, 428, 431, 451, 499)
_OTHERS_5XX = (501, 505, 506, 507, 508, 511, 520, 529, 599)
_SERVICE_ERROR = {"code": "NO_ORDER", "category": "NotFound", "status": 404, "message": "None", "trace_id": "theirs"}
_TOOLKIT_ERROR = {"errorType": "NotFoundException", "errorMessage": "None", "stackTrace": []}
_BIG = 50_000_000  # bytes
_LARGE = {"text": "x" * 5_900_000}  # more than the buffers of a connection hold


def _date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def _retry_after(name: str, value: str, outcomes: Outcomes) -> Fault:
    make = rejected if outcomes.default.executed == 0 else server.respond
    steps = statuses(503, make=make, headers={"Retry-After": value})
    return Fault(f"503 with {name}", outcomes, outcomes, steps)


FAULTS: Sequence[Fault] = (
    # Nothing was sent
    Fault("name not found", UNSENT, UNSENT, place=_name_not_found),
    Fault("connection refused", UNSENT, UNSENT, place=_refused),
    Fault("backlog full: connecting times out", UNSENT, UNSENT, place=_full_backlog, ends="connect_timeout"),
    Fault("TLS: garbage instead of a handshake", UNSENT, UNSENT, tls="broken"),
    Fault("TLS: connection reset during the handshake", UNSENT, UNSENT, tls="reset"),
    Fault("TLS: no response to the handshake", UNSENT, UNSENT, tls="silent", ends="connect_timeout"),
    Fault("TLS: handshake sent one byte at a time", UNSENT, UNSENT, tls="drip", ends="connect_timeout"),
    Fault("TLS: expired certificate", UNSENT, UNSENT, tls="expired"),
    Fault("TLS: certificate of another host", UNSENT, UNSENT, tls="wrong_host"),
    Fault("TLS: certificate of an unknown authority", UNSENT, UNSENT, tls="unknown_ca"),
    # The response did not arrive in time
    Fault("request read, but no response", TIMEOUT, TIMEOUT, one(server.silent()), "timeout"),
    Fault(
        "server does not read the request (5.9 MB)",
        retried_if_idempotent(ConnectionException, "CALL_TIMEOUT", 504, executed=0),
        retried_if_idempotent(ConnectionException, "CALL_TIMEOUT", 504, executed=0),
        one(server.never_reads()),
        "timeout",
        params=_LARGE,
        options={"timeout": 2 * SHORT},
    ),
    Fault("response stops halfway through its head", TIMEOUT, TIMEOUT, one(server.stall_head()), "timeout"),
    Fault("response stops halfway through its body", TIMEOUT, TIMEOUT, one(server.stall_body()), "timeout"),
    Fault("head sent one byte at a time", TIMEOUT, TIMEOUT, one(server.drip("head")), "timeout"),
    Fault("body sent one byte at a time", TIMEOUT, TIMEOUT, one(server.drip("body")), "timeout"),
    Fault("chunked body sent one byte at a time", TIMEOUT, TIMEOUT, one(server.drip("chunks")), "timeout"),
    Fault("body of a 400 sent one byte at a time", TIMEOUT, TIMEOUT, one(server.drip("body", status=400)), "timeout"),
    Fault(
        "idle connection dropped by the network, idle for less than `idle_timeout`",
        Outcomes(Outcome(0, 1, ConnectionException, "CALL_TIMEOUT", 504), Outcome(1, 2)),
        Outcomes(Outcome(0, 1, ConnectionException, "CALL_TIMEOUT", 504), Outcome(1, 2)),
        one(server.respond()),
        "timeout",
        before=server.black_hole_idle(),
        options={"timeout": 3 * SHORT},  # the earlier call must not fail
    ),
    Fault(
        "idle connection dropped by the network, idle for longer than `idle_timeout`",
        returned(),
        returned(),
        one(server.respond()),
        before=server.black_hole_idle(),
        options={"idle_timeout": 1},
    ),
    # The connection was lost before the response was complete, or the response is not valid HTTP
    Fault("connection reset before the request is read", LOST_UNREAD, LOST_UNREAD, one(server.reset_before_read())),
    Fault("connection reset while the request is read", LOST_UNREAD, LOST_UNREAD, one(server.reset_while_reading())),
    Fault("connection reset after the request is read", LOST, LOST, one(server.reset_after_read())),
    Fault("connection closed after the request is read", LOST, LOST, one(server.close_after_read())),
    Fault("truncated body", LOST, LOST, one(server.truncated())),
    Fault("truncated chunked body", LOST, LOST, one(server.truncated(chunk_size=1))),
    Fault("`Content-Length` too long", LOST, LOST, one(server.wrong_length(3))),
    Fault("`Content-Length` is not a number", LOST, LOST, one(server.respond(length="two"))),
    Fault(
        "`Transfer-Encoding` other than `chunked`",
        LOST,
        LOST,
        each(*(server.transfer_encoding(coding) for coding in ("gzip", "gzip, chunked", "identity"))),
    ),
    Fault("invalid headers", LOST, LOST, one(server.garbage_headers())),
    Fault("invalid status line", LOST, LOST, each(server.bad_status_line(), server.bad_status_line(b"\xff\x00 what"))),
    Fault("status below 100", LOST, LOST, each(server.informational(0), server.informational(99))),
    Fault("101 that the client did not ask for", LOST, LOST, one(server.informational(101))),
    Fault(
        "idle connection closed by the server",
        returned(),
        returned(),
        one(server.respond()),
        before=server.idle_close(),
    ),
    # Responses that can be decoded, or not
    Fault(
        "100, 102 and 103 before the response", returned(), returned(), one(server.informational(100, 102, 103, 103))
    ),
    Fault("`Content-Length` too short", NOT_DECODABLE, NOT_DECODABLE, one(server.wrong_length(-1))),
    Fault("gzip body", returned(), returned(), one(server.gzip_response())),
    Fault("invalid gzip body", NOT_DECODABLE, NOT_DECODABLE, one(server.broken_gzip())),
    Fault("gzip body that expands to 101 MiB", TOO_LARGE, TOO_LARGE, one(lazy(server.gzip_bomb))),
    Fault("body of 101 MiB", TOO_LARGE, TOO_LARGE, one(lazy(lambda: server.large(101 << 20)))),
    Fault(
        "body of 50 MB",
        returned(),
        returned(),
        one(lazy(lambda: server.large(_BIG))),
        check=lambda value: len(value) == _BIG - 2,
    ),
    Fault("JSON with a byte order mark", returned(), returned(), one(server.respond(body=b"\xef\xbb\xbf{}"))),
    Fault("JSON in Latin-1", NOT_DECODABLE, NOT_DECODABLE, one(server.respond(body=b'"\xe9"'))),
    Fault(
        "`text/plain; charset=latin-1`",
        returned(),
        NOT_DECODABLE,
        one(server.respond(body=b"\xe9", content_type="text/plain; charset=latin-1")),
        check=lambda value: value == "\xe9",
    ),
    Fault(
        "JSON with lone surrogates",
        returned(),
        returned(),
        each(server.respond(body=rb'"\ud800"'), server.respond(body=b'"\xed\xa0\x80"')),
        check=lambda value: value == "\ud800",
    ),
    Fault(
        "200 with HTML",
        NOT_DECODABLE,
        NOT_DECODABLE,
        one(server.respond(body=b"<h1>Hi</h1>", content_type="text/html")),
    ),
    Fault("JSON that is nested too deeply", NOT_DECODABLE, NOT_DECODABLE, one(server.respond(body=b"[" * 200_000))),
    Fault(
        "204 with a body",
        returned(),
        returned(),
        each(server.respond(204), server.respond(204, chunk_size=2)),
        check=lambda value: value is None,
    ),
    Fault(
        "304 with a body",
        never_retried(InvocationException, "UNEXPECTED_REDIRECT"),
        never_retried(InvocationException, "UNEXPECTED_REDIRECT"),
        (*statuses(304), *statuses(304, chunk_size=2)),
    ),
    Fault("200 with no body", returned(), returned(), one(server.respond(body=b"")), check=lambda value: value is None),
    # Statuses
    Fault(
        "300 to 399",
        never_retried(InvocationException, "UNEXPECTED_REDIRECT"),
        never_retried(InvocationException, "UNEXPECTED_REDIRECT"),
        statuses(*_3XX),
    ),
    Fault(
        "redirect to the same URL or to another host",
        never_retried(InvocationException, "UNEXPECTED_REDIRECT"),
        never_retried(InvocationException, "UNEXPECTED_REDIRECT"),
        (
            *statuses(301, 302, 303, 307, 308, headers={"Location": "/api/dummies"}),
            *statuses(301, 302, 303, 307, 308, headers={"Location": "http://localhost:9/"}),
        ),
    ),
    Fault(
        "400",
        never_retried(BadRequestException, "BAD_REQUEST"),
        never_retried(BadRequestException, "BAD_REQUEST"),
        statuses(400),
    ),
    Fault(
        "401, 403",
        never_retried(UnauthorizedException, "UNAUTHORIZED"),
        never_retried(UnauthorizedException, "UNAUTHORIZED"),
        statuses(401, 403),
    ),
    Fault(
        "404",
        never_retried(NotFoundException, "NOT_FOUND"),
        never_retried(NotFoundException, "NOT_FOUND"),
        statuses(404),
    ),
    Fault(
        "409", never_retried(ConflictException, "CONFLICT"), never_retried(ConflictException, "CONFLICT"), statuses(409)
    ),
    Fault(
        "413, before or after the request is read",
        never_retried(BadRequestException, "PAYLOAD_TOO_LARGE", executed=0),
        never_retried(BadRequestException, "PAYLOAD_TOO_LARGE", executed=0),
        (*statuses(413, make=rejected), *statuses(413, make=server.respond_early)),
    ),
    Fault("429", THROTTLED, THROTTLED, statuses(429, make=rejected)),
    Fault("other 4xx", FAILED, FAILED, statuses(*_OTHERS_4XX)),
    Fault("500, 502, 503, 504", GATEWAY_FAILED, GATEWAY_FAILED, statuses(500, 502, 503, 504)),
    Fault("other 5xx", FAILED, FAILED, statuses(*_OTHERS_5XX)),
    Fault(
        "500 with a truncated body", GATEWAY_FAILED, GATEWAY_FAILED, (Variant((server.truncated(status=500),), 500),)
    ),
    Fault(
        "400, 500 or 503 with a pip-services error in the body",
        never_retried(NotFoundException, "NO_ORDER", 404),
        None,
        statuses(500, 503, 400, body=_SERVICE_ERROR),
    ),
    _retry_after("`Retry-After` in seconds", "0", REJECTED),
    _retry_after("`Retry-After` as a date", _date(-5), REJECTED),
    _retry_after(
        "an extremely large `Retry-After`",
        "9" * 400,
        never_retried(InvocationException, "CALL_FAILED", 503, executed=0),
    ),
    _retry_after(
        "a `Retry-After` in the far future",
        _date(1e9),
        never_retried(InvocationException, "CALL_FAILED", 503, executed=0),
    ),
    _retry_after("a negative `Retry-After`", "-5", retried_if_idempotent(InvocationException, "CALL_FAILED", 503)),
    _retry_after("an invalid `Retry-After`", "soon", retried_if_idempotent(InvocationException, "CALL_FAILED", 503)),
    Fault("429, then success", returned(1, 2), returned(1, 2), (Variant((rejected(429), server.respond())),)),
    # Lambda only
    Fault(
        "`FunctionError`, with each kind of body",
        None,
        never_retried(InvocationException, "FUNCTION_ERROR", 500),
        each(
            function_error({"errorMessage": "No", "errorType": "KeyError", "requestId": "r", "stackTrace": ["a", "b"]}),
            function_error({"errorMessage": "No", "errorType": "KeyError", "requestId": "r"}),
            function_error({"errorMessage": "No", "errorType": "Error", "trace": ["Error: No", "at f"]}),
            function_error({"errorMessage": "r Task timed out after 3.00 seconds", "errorType": "Sandbox.Timedout"}),
            function_error({"errorMessage": "exit 1", "errorType": "Runtime.ExitError"}),
            function_error({"errorType": None, "errorMessage": None, "stackTrace": None}),
            function_error({"errorType": 1, "errorMessage": [], "stackTrace": 5}),
            function_error(b"Task timed out after 3.00 seconds"),
            function_error(b""),
            function_error(b"null"),
            function_error([]),
            function_error({"errorMessage": "No", "errorType": "KeyError"}, status=202),
        ),
    ),
    Fault(
        "`FunctionError` with an exception of pip-services",
        None,
        never_retried(NotFoundException, "FUNCTION_ERROR", 404),
        one(function_error(_TOOLKIT_ERROR)),
    ),
    Fault(
        "`FunctionError` with a pip-services error in its message",
        None,
        never_retried(NotFoundException, "NO_ORDER", 404),
        one(function_error({"errorType": "Exception", "errorMessage": json.dumps(_SERVICE_ERROR)})),
    ),
    Fault(
        "one-way call: `FunctionError` with 202",
        None,
        never_retried(InvocationException, "FUNCTION_ERROR", 500),
        one(function_error({"errorMessage": "No", "errorType": "KeyError"}, status=202)),
        one_way=True,
    ),
    Fault(
        "one-way call: 202",
        None,
        returned(),
        one(server.respond(202, b"")),
        one_way=True,
        check=lambda value: value is None,
    ),
    Fault(
        "one-way call: connection closed after the request is read",
        None,
        LOST,
        one(server.close_after_read()),
        one_way=True,
    ),
    Fault("one-way call: request read, but no response", None, TIMEOUT, one(server.silent()), "timeout", one_way=True),
    Fault("one-way call: 500", None, GATEWAY_FAILED, statuses(500), one_way=True),
    Fault("`TooManyRequestsException`", None, THROTTLED, (aws_error(429, "TooManyRequestsException", rejected),)),
    Fault(
        "`EC2ThrottledException`, `ResourceNotReadyException`, `ENINotReadyException`",
        None,
        always_retried(InvocationException, "CALL_FAILED"),
        (
            aws_error(502, "EC2ThrottledException", rejected),
            aws_error(502, "ResourceNotReadyException", rejected),
            aws_error(502, "ENINotReadyException", rejected),
        ),
    ),
    Fault(
        "`ResourceConflictException`, `SnapStartNotReadyException`, `CodeArtifactUserPendingException`",
        None,
        always_retried(ConflictException, "CONFLICT"),
        (
            aws_error(409, "ResourceConflictException", rejected),
            aws_error(409, "SnapStartNotReadyException", rejected),
            aws_error(409, "CodeArtifactUserPendingException", rejected),
        ),
    ),
    Fault(
        "`ThrottlingException`, `Throttling`, both with 400",
        None,
        always_retried(BadRequestException, "BAD_REQUEST"),
        (aws_error(400, "ThrottlingException", rejected), aws_error(400, "Throttling", rejected)),
    ),
    Fault(
        "`ServiceException` and other service errors",
        None,
        GATEWAY_FAILED,
        (
            aws_error(500, "ServiceException"),
            aws_error(502, "EC2UnexpectedException"),
            aws_error(504, "GatewayTimeout"),
        ),
    ),
    Fault(
        "`ResourceNotFoundException`",
        None,
        never_retried(NotFoundException, "NOT_FOUND"),
        (aws_error(404, "ResourceNotFoundException"),),
    ),
    Fault(
        "`RequestTooLargeException`",
        None,
        never_retried(BadRequestException, "PAYLOAD_TOO_LARGE", executed=0),
        (aws_error(413, "RequestTooLargeException", rejected),),
    ),
)


# --- The table in the documentation ---

_BEGIN, _END = "<!-- fault matrix: written by support.faults -->\n", "<!-- end of the fault matrix -->"
_NAMES = {"azure": "Azure and Google", "aws": "Lambda"}


def table() -> str:
    """The table has one row for each fault. `2 / 2` means two executions and two attempts."""
    lines = [
        "| fault | the call ends | the caller gets | Azure, Google | idempotent | Lambda | idempotent |",
        "|---|---|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        counts = [
            f"{outcome.executed} / {outcome.attempts}" if outcome else "—"
            for outcomes in (fault.azure, fault.aws)
            for outcome in outcomes or (None, None)
        ]
        ends = "immediately" if fault.ends == "immediately" else f"at `{fault.ends}`"
        lines.append(f"| {' | '.join((fault.name, ends, _outcome(fault), *counts))} |")
    return "\n".join(lines) + "\n"


def _outcome(fault: Fault) -> str:
    """What the caller gets. Providers and options are named only if they differ."""
    seen = {
        (provider, option): _text(getattr(outcomes, option))
        for provider, outcomes in (("azure", fault.azure), ("aws", fault.aws))
        for option in Outcomes._fields
        if outcomes
    }
    if len(set(seen.values())) == 1:
        return next(iter(seen.values()))
    by_provider = {_NAMES[provider]: text for (provider, _), text in seen.items()}
    by_option = {option: text for (_, option), text in seen.items()}
    differing = by_provider if len(set(by_provider.values())) > 1 else by_option
    return "; ".join(f"{name}: {text}" for name, text in differing.items())


def _text(outcome: Outcome) -> str:
    if outcome.error is None:
        return "the result"
    status = outcome.status or "and the response's status"
    return f"`{outcome.error.__name__}` `{outcome.code}` {status}"


def with_table(page: str) -> str:
    """The page with the current table."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{DOCS.name} does not have the comments that mark the table")
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    DOCS.write_text(with_table(DOCS.read_text("utf-8")), "utf-8")
