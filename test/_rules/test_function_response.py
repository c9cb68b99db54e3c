"""The decoding of a response that is not an error."""

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
from pip_services4_serverless._rules.secrets import mask_bytes


def response(body: bytes, content_type: str | None = None, status: int = 200) -> FunctionResponse:
    """A response with headers of the type that the HTTP library uses."""
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    if content_type is not None:
        headers["Content-Type"] = content_type
    return FunctionResponse(status, headers, body)


MEBIBYTE = bytes(1024 * 1024)


class TruncatedError(Exception):
    """What a transport raises in the middle of a body."""


def truncated(*chunks: bytes) -> Iterator[bytes]:
    """A body that ends too early."""
    yield from chunks
    raise TruncatedError


@pytest.mark.parametrize(
    ("chunks", "body"),
    [([], b""), ([b"whole"], b"whole"), ([b"two", b"!"], b"two!"), ([b"in ", b"", b"pieces"], b"in pieces")],
)
@pytest.mark.parametrize("status", [200, 500])
def test_the_chunks_of_a_body_are_joined(chunks: list[bytes], body: bytes, status: int) -> None:
    """Any number of chunks is accepted."""
    assert read_body(iter(chunks), status, (TruncatedError,)) == body


@pytest.mark.parametrize("status", [200, 202, 299])
def test_a_truncated_response_is_lost(status: int) -> None:
    """A part of a result is not a result."""
    with pytest.raises(TruncatedError):
        read_body(truncated(b'{"id"'), status, (TruncatedError,))


@pytest.mark.parametrize("status", [300, 404, 503])
def test_the_truncated_body_of_an_error_is_ignored(status: int) -> None:
    """The status is enough for an error."""
    assert read_body(truncated(b'{"code"'), status, (TruncatedError,)) == b""


def test_another_error_while_reading_is_raised_unchanged() -> None:
    """A timeout, for example, is not a truncated body."""

    def time_out() -> Iterator[bytes]:
        yield b"x"
        raise TimeoutError

    with pytest.raises(TimeoutError):
        read_body(time_out(), 500, (TruncatedError,))


@pytest.mark.defect(18)
def test_secrets_in_a_body_are_masked() -> None:
    """Every occurrence is masked. A value of less than six characters is not, because it may occur anywhere."""
    body = b'{"x-functions-key": "hunter2", "again": "hunter2!", "short": "abc12"}'

    assert mask_bytes(body, ["hunter2", "abc12", "absent"]) == (
        b'{"x-functions-key": "***", "again": "***!", "short": "abc12"}'
    )
    assert mask_bytes(b"123456", ("123456",)) == b"***"


@pytest.mark.parametrize(
    "body", [rb'{"message": "abc\u002Bd\/f"}', rb'{"message": "\u0061bc+d/f"}', rb'["abc+d/f\"x"]', b"\\abc+d/f"]
)
def test_an_escaped_secret_is_masked(body: bytes) -> None:
    """.NET escapes `+`, and PHP escapes the slash."""
    shown = mask_bytes(body, ["abc+d/f"])

    assert b"***" in shown
    assert b"abc+d/f" not in shown
    assert "abc+d/f" not in str(json.loads(shown) if shown[:1] in b"{[" else shown)


def test_a_secret_beside_a_lone_surrogate_is_masked() -> None:
    """JSON may contain a lone surrogate, and the masking must not fail on it."""
    body = rb'{"message": "\ud800", "key": "abc\u002bd/f"}'
    assert json.loads(mask_bytes(body, ["abc+d/f"])) == {"message": "\ud800", "key": "***"}


def test_a_secret_with_a_quotation_mark_is_masked() -> None:
    """JSON escapes some characters that a key may have."""
    assert mask_bytes(json.dumps({"key": 'a"b\\cdef'}).encode(), ['a"b\\cdef']) == b'{"key": "***"}'


def test_a_response_at_the_size_limit_is_read() -> None:
    """The limit is 100 MiB."""
    assert len(read_body([MEBIBYTE] * 100, 200, (TruncatedError,))) == MAX_RESPONSE_SIZE == 104_857_600


@pytest.mark.parametrize("status", [200, 500])
def test_a_response_over_the_size_limit_is_not_read_completely(status: int) -> None:
    """A server that never stops sending does not fill the memory."""
    pieces = iter([*[MEBIBYTE] * 100, b"x", b"left"])

    with pytest.raises(BodyTooLargeError):
        read_body(pieces, status, (TruncatedError,))

    assert list(pieces) == [b"left"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(204, b""), (204, b'{"ignored": 1}'), (200, b""), (202, b""), (200, b"null")],
)
def test_an_empty_result_is_none(status: int, body: bytes) -> None:
    """A 204, an empty body and `null` have an empty result."""
    assert decode(response(body, status=status), "T") is None


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain; charset=utf-8", "text/html", ";"])
def test_json_is_decoded_with_any_content_type(content_type: str | None) -> None:
    """Published servers send JSON as text/plain."""
    assert decode(response(b'{"data": [{"id": "1"}], "total": 5}', content_type), "T") == {
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
def test_every_json_value_is_decoded(body: bytes, value: Any) -> None:
    """It is decoded once, in each encoding that JSON allows."""
    assert decode(response(body, "text/plain"), "T") == value


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
def test_plain_text_that_is_not_json_is_a_str(body: bytes, content_type: str, text: str) -> None:
    """The content type names the character set."""
    assert decode(response(body, content_type), "T") == text


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
def test_a_body_that_cannot_be_decoded_is_an_error(body: bytes, content_type: str | None) -> None:
    """The original exception is the cause of the error. Its message has the size and the type of the body."""
    with pytest.raises(InvocationException) as caught:
        decode(response(body, content_type), "T")

    assert (caught.value.code, caught.value.trace_id) == ("DESERIALIZATION_FAILED", "T")
    assert caught.value.message.endswith(f"{len(body)} bytes" + (f" of {content_type}" if content_type else ""))
    assert isinstance(caught.value.__cause__, ValueError | RecursionError)


@pytest.mark.parametrize("charset", ["undefined", "utf\0"])
def test_any_exception_of_a_codec_is_a_decoding_error(charset: str) -> None:
    """The response chooses the codec, and codecs raise more than UnicodeDecodeError."""
    with pytest.raises(InvocationException) as caught:
        decode(response(b"hi!", f"text/plain; charset={charset}"), "T")

    assert caught.value.code == "DESERIALIZATION_FAILED"


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b"-Infinity"])
def test_values_that_only_python_accepts_as_json_are_text(body: bytes) -> None:
    """They are not valid JSON, so a text/plain body is returned unchanged."""
    assert decode(response(body, "text/plain"), "T") == body.decode()


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
def test_any_body_is_a_value_or_an_error(
    body: bytes, content_type: str | None, status: int, failed: bool, error_name: str
) -> None:
    """No other exception is raised."""
    whole = response(body, content_type, status)._replace(function_failed=failed, error_name=error_name)

    failure = failure_of_response(whole, "T")
    if failure is not None:
        assert isinstance(failure.error, ApplicationException)
        assert failure.error.trace_id == "T"
        json.dumps(failure.error.to_json())
        return
    with contextlib.suppress(InvocationException):
        decode(whole, "T")
