"""The decoding of an answer that is no error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ApplicationException, InvocationException
from requests.structures import CaseInsensitiveDict

from pip_services4_serverless._rules.decoding import decode
from pip_services4_serverless._rules.errors import failure_of_response
from pip_services4_serverless._rules.response import MAX_RESPONSE_SIZE, BodyTooLargeError, FunctionResponse, read_body
from pip_services4_serverless._rules.secrets import mask_bytes as masked


def answer(body: bytes, content_type: str | None = None, status: int = 200) -> FunctionResponse:
    """An answer with the headers as the HTTP library gives them."""
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    if content_type is not None:
        headers["Content-Type"] = content_type
    return FunctionResponse(status, headers, body)


MEBIBYTE = bytes(1024 * 1024)


class BrokenOffError(Exception):
    """What a transport raises in the middle of a body."""


def broken_off(*chunks: bytes) -> Iterator[bytes]:
    """A body that ends before its end."""
    yield from chunks
    raise BrokenOffError


@pytest.mark.parametrize(
    ("chunks", "body"),
    [([], b""), ([b"whole"], b"whole"), ([b"two", b"!"], b"two!"), ([b"in ", b"", b"pieces"], b"in pieces")],
)
@pytest.mark.parametrize("status", [200, 500])
def test_a_body_is_joined(chunks: list[bytes], body: bytes, status: int) -> None:
    """Of however many pieces."""
    assert read_body(iter(chunks), status, (BrokenOffError,)) == body


@pytest.mark.parametrize("status", [200, 202, 299])
def test_an_answer_that_breaks_off_is_lost(status: int) -> None:
    """Half a result is none."""
    with pytest.raises(BrokenOffError):
        read_body(broken_off(b'{"id"'), status, (BrokenOffError,))


@pytest.mark.parametrize("status", [300, 404, 503])
def test_an_errors_body_that_breaks_off_counts_as_none(status: int) -> None:
    """The status says enough."""
    assert read_body(broken_off(b'{"code"'), status, (BrokenOffError,)) == b""


def test_another_fault_of_reading_is_passed_on() -> None:
    """As a time that is over."""

    def late() -> Iterator[bytes]:
        yield b"x"
        raise TimeoutError

    with pytest.raises(TimeoutError):
        read_body(late(), 500, (BrokenOffError,))


@pytest.mark.defect(18)
def test_a_body_that_shows_secrets_is_masked() -> None:
    """Wherever and however often; what is too short to be a secret would garble every answer."""
    body = b'{"x-functions-key": "hunter2", "again": "hunter2!", "short": "abc12"}'

    assert masked(body, ["hunter2", "abc12", "absent"]) == (
        b'{"x-functions-key": "***", "again": "***!", "short": "abc12"}'
    )
    assert masked(b"123456", ("123456",)) == b"***"


@pytest.mark.parametrize(
    "body", [rb'{"message": "abc\u002Bd\/f"}', rb'{"message": "\u0061bc+d/f"}', rb'["abc+d/f\"x"]', b"\\abc+d/f"]
)
def test_a_secret_is_masked_however_it_is_written(body: bytes) -> None:
    """.NET writes + as its code, PHP escapes the slash."""
    shown = masked(body, ["abc+d/f"])

    assert b"***" in shown
    assert b"abc+d/f" not in shown
    assert "abc+d/f" not in str(json.loads(shown) if shown[:1] in b"{[" else shown)


def test_a_secret_beside_half_a_pair_of_surrogates_is_masked() -> None:
    """JSON may write one; it must not end the masking."""
    body = rb'{"message": "\ud800", "key": "abc\u002bd/f"}'
    assert json.loads(masked(body, ["abc+d/f"])) == {"message": "\ud800", "key": "***"}


def test_a_secret_that_json_escapes_is_masked() -> None:
    """A quotation mark is one of the characters that a key may have."""
    assert masked(json.dumps({"key": 'a"b\\cdef'}).encode(), ['a"b\\cdef']) == b'{"key": "***"}'


def test_an_answer_at_the_limit_is_read() -> None:
    """100 MiB."""
    assert len(read_body([MEBIBYTE] * 100, 200, (BrokenOffError,))) == MAX_RESPONSE_SIZE == 104_857_600


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_over_the_limit_is_not_read_to_its_end(status: int) -> None:
    """A far side that never stops sending does not fill the memory."""
    pieces = iter([*[MEBIBYTE] * 100, b"x", b"left"])

    with pytest.raises(BodyTooLargeError):
        read_body(pieces, status, (BrokenOffError,))

    assert list(pieces) == [b"left"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(204, b""), (204, b'{"ignored": 1}'), (200, b""), (202, b""), (200, b"null")],
)
def test_nothing_is_none(status: int, body: bytes) -> None:
    """204, an empty body and null are no result."""
    assert decode(answer(body, status=status), "T") is None


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain; charset=utf-8", "text/html", ";"])
def test_json_is_read_whatever_its_content_type_says(content_type: str | None) -> None:
    """The published servers send JSON as text/plain."""
    assert decode(answer(b'{"data": [{"id": "1"}], "total": 5}', content_type), "T") == {
        "data": [{"id": "1"}],
        "total": 5,
    }


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"5", 5),
        (b"true", True),
        (b'"abc"', "abc"),
        (b"[]", []),
        (b" 1.5\n", 1.5),
        ('"é"'.encode("utf-8-sig"), "é"),
        ('"é"'.encode("utf-16"), "é"),
        ('"é"'.encode("utf-32"), "é"),
        (b'"\\ud800"', "\ud800"),
        (b'"{\\"id\\": \\"1\\"}"', '{"id": "1"}'),  # encoded twice by its server, decoded once
    ],
)
def test_json_of_every_kind_is_read(body: bytes, value: Any) -> None:
    """Once, and in each of the encodings that JSON has."""
    assert decode(answer(body, "text/plain"), "T") == value


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"created", "text/plain", "created"),
        (b"created", "Text/Plain ; charset=UTF-8", "created"),
        ("žluť".encode(), "text/plain", "žluť"),
        ("žluť".encode("cp1250"), "text/plain; charset=windows-1250", "žluť"),
        ("é!".encode("latin-1"), 'text/plain; format=flowed; Charset="iso-8859-1"', "é!"),
        (b"hi!", "text/plain; charset=", "hi!"),
        (b"hi!", "text/plain; charset='utf-8'", "hi!"),
        (b"{'not': json}", "text/plain", "{'not': json}"),
        (b"[" * 200_000, "text/plain", "[" * 200_000),
        (b" ", "text/plain", " "),
    ],
)
def test_plain_text_that_is_no_json_is_a_str(body: bytes, content_type: str, text: str) -> None:
    """In the character set that it names."""
    assert decode(answer(body, content_type), "T") == text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>", "text/html"),
        (b"created", None),
        (b"created", "application/json"),
        (b"created", "text/plainer"),
        (b'{"id": "1', "application/json"),
        (b"[" * 200_000, "application/json"),
        (b"9" * 5000, "application/json"),
        (b"\xff\xfe\xfd", "application/octet-stream"),
        (b"\xff", "text/plain"),
        (b"\xff", "text/plain; charset=ascii"),
        (b"hi!", "text/plain; charset=no-such"),
        (b"hi!", "text/plain; charset=hex"),
    ],
)
def test_what_cannot_be_decoded_is_an_error(body: bytes, content_type: str | None) -> None:
    """With the original as its cause, and the size and type of what came."""
    with pytest.raises(InvocationException) as caught:
        decode(answer(body, content_type), "T")

    assert (caught.value.code, caught.value.trace_id) == ("DESERIALIZATION_FAILED", "T")
    assert caught.value.message.endswith(f"{len(body)} bytes" + (f" of {content_type}" if content_type else ""))
    assert isinstance(caught.value.__cause__, ValueError | RecursionError)


@pytest.mark.parametrize("charset", ["undefined", "utf\0"])
def test_a_character_set_that_fails_in_its_own_way_is_an_error_too(charset: str) -> None:
    """Codecs raise more than UnicodeDecodeError, and the far side chooses the codec."""
    with pytest.raises(InvocationException) as caught:
        decode(answer(b"hi!", f"text/plain; charset={charset}"), "T")

    assert caught.value.code == "DESERIALIZATION_FAILED"


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b"-Infinity"])
def test_words_that_only_python_takes_for_json_are_text(body: bytes) -> None:
    """JSON has neither of them, so a text/plain body stays what it is."""
    assert decode(answer(body, "text/plain"), "T") == body.decode()


content_types = st.sampled_from(
    [None, "", "application/json", "text/plain", "text/plain; charset=latin-1", "text/plain; charset=utf-16", "a;b;c=d"]
)


@given(
    st.binary(max_size=40) | st.text().map(lambda text: json.dumps(text)[: len(text)].encode()),
    content_types,
    st.sampled_from([200, 202, 204, 302, 400, 404, 413, 429, 500, 503, 599, 999]),
    st.booleans(),
    st.sampled_from(["", "TooManyRequestsException", "ServiceException"]),
)
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_a_value_or_an_error(
    body: bytes, content_type: str | None, status: int, failed: bool, error_name: str
) -> None:
    """Whatever arrives, nothing but a value or the one kind of exception comes out."""
    whole = answer(body, content_type, status)._replace(function_failed=failed, error_name=error_name)

    failure = failure_of_response(whole, "T")
    if failure is not None:
        assert isinstance(failure.error, ApplicationException)
        assert failure.error.trace_id == "T"
        json.dumps(failure.error.to_json())
        return
    with contextlib.suppress(InvocationException):
        decode(whole, "T")
