"""The parts of urllib3's connections that are our own, where no far side can show them."""

from __future__ import annotations

import email.parser
import http.client
import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pip_services4_serverless.clients import _connections

NAMES = st.sampled_from([b"A", b"a", b"Content-Type", b"Content-Length", b"x_y", b"\xe9", b"", b"a b", b" a"])
LINES = st.builds(
    lambda name, colon, value, end: name + colon + value + end,
    NAMES,
    st.sampled_from([b":", b": ", b":\t", b" :", b"", b"::"]),
    st.one_of(st.sampled_from([b"", b"1 ", b"a\tb", b"a\rb", b"\x85", b"\x0c", b"\0", b"text/plain"]), st.binary()),
    st.sampled_from([b"\r\n"] * 5 + [b"\n", b"\r\r\n", b"\r\n ", b"\r", b""]),
)


def outcome(parse: Any, head: bytes) -> Any:
    """What a head is taken for, and what is left of the stream after it."""
    stream = io.BytesIO(head)
    try:
        message = parse(stream)
    except http.client.HTTPException as err:
        return repr(err)
    return (
        type(message),
        message.items(),
        [type(defect) for defect in message.defects],
        message.get_payload(),
        stream.read(),
    )


@given(st.lists(LINES, max_size=5).map(b"".join), st.sampled_from([b"\r\n", b"\n", b""]), st.binary(max_size=5))
@example(b"From me\r\n", b"\r\n", b"")
@example(b"A: 1\r\n" * 99, b"\r\n", b"body")
@example(b"A: 1\r\n" * 100, b"\r\n", b"body")
@example(b"A: 1\r\n" * 300, b"\r\n", b"body")
@example(b"A: 1\r\nB: " + b"x" * 65531 + b"\r\n", b"\r\n", b"body")
@example(b"A: 1\r\nB: " + b"x" * 65532 + b"\r\n", b"\r\n", b"body")
@example(b"A: 1\r\nB: " + b"x" * 70000 + b"\r\n", b"\r\n", b"body")
def test_a_head_is_what_http_client_takes_it_for(lines: bytes, end: bytes, body: bytes) -> None:
    """Whatever is sent, so that no proxy in between sees another answer than we do."""
    head = lines + end + body
    assert outcome(_connections._parse_headers, head) == outcome(http.client.parse_headers, head)


def test_a_body_of_parts_is_not_looked_for_in_the_head() -> None:
    """Where http.client misses it, and urllib3 might log that."""
    message = _connections._parse_headers(io.BytesIO(b"Content-Type: multipart/mixed\r\n\r\n"))
    assert (message.items(), message.defects) == ([("Content-Type", "multipart/mixed")], [])


def test_the_usual_head_is_not_read_as_an_e_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes a sixth of a call's time. It fails when Python's own names for it have changed."""
    monkeypatch.setattr(email.parser.Parser, "parsestr", lambda *_: pytest.fail("read as an e-mail"))
    response = _connections._DeadlineResponse(_Sock(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n{}"))
    response.begin()
    assert (response.status, response.length, response.headers["a"], response.read()) == (200, 2, "b", b"{}")


def test_a_wrapped_begin_stays_wrapped() -> None:
    """What a tool has put around http.client's is not ours to look into."""

    def wrapped(self: Any) -> None:
        http.client.HTTPResponse.begin(response)

    response = _connections._DeadlineResponse(_Sock(b"HTTP/1.1 200 OK\r\n\r\n"))
    assert _connections._with_our_parser(wrapped) is wrapped
    wrapped(response)
    assert response.status == 200
    assert _connections._with_our_parser(len) is len


def test_a_begin_of_another_python_stays_as_it_is() -> None:
    """It may hand to the parser what ours does not know."""

    def newer(self: Any, *, limit: int = 1) -> None:
        """As Python may have it one day."""

    assert _connections._with_our_parser(newer) is newer


class _Sock:
    """As much of a socket as http.client reads from."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The whole answer."""
        return io.BufferedReader(io.BytesIO(self._answer))  # type: ignore[arg-type]
