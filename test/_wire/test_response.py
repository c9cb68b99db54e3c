"""How bytes become a response, without I/O, so that every way to cut, split and extend them can be tested."""

from __future__ import annotations

import gc
import gzip
import os
import random
import signal
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from httptools import HttpParserError, HttpResponseParser
from support.interrupts import untraced
from support.responses import ALL, BODY, CLOSE_DELIMITED, ERRORS, FRAMED, Sample

from pip_services4_serverless._wire.errors import (
    ConnectionLostError,
    ContentDecodingError,
    ResponseTooLargeError,
    WireError,
)
from pip_services4_serverless._wire.headers import Headers
from pip_services4_serverless._wire.response import MAX_HEAD, Response, ResponseReader

LIMIT = 1 << 20  # bytes
OK = b"HTTP/1.1 200 OK\r\n"
TWO = OK + b"Content-Length: 2\r\n\r\n{}"
# The number of random cases. `make soak` sets it to 100000.
FUZZ = int(os.environ.get("WIRE_FUZZ", "20000"))

every_sample = pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.name)
framed_sample = pytest.mark.parametrize("sample", FRAMED, ids=lambda sample: sample.name)


def parse(*pieces: bytes, limit: int = LIMIT) -> ResponseReader:
    reader = ResponseReader(limit)
    for piece in pieces:
        reader.feed(piece)
    return reader


def read(*pieces: bytes, limit: int = LIMIT) -> Response:
    """The response of these pieces, after which the connection ends."""
    reader = parse(*pieces, limit=limit)
    if not reader.complete:
        reader.end()
    return reader.response()


def gzipped(body: bytes, encoding: str = "gzip", status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (
        status,
        encoding.encode(),
        len(body),
    ) + body  # fmt: skip


# --- Complete and truncated responses ---


@every_sample
def test_a_complete_response_is_read(sample: Sample) -> None:
    """Status, headers and decoded body are right in every framing."""
    response = read(sample.data)
    assert (response.status, response.body) == (sample.status, sample.body)
    assert response.headers.get("link") is None


@framed_sample
def test_a_truncated_response_is_lost(sample: Sample) -> None:
    """It may be cut at any byte of the head or the body."""
    for end in range(len(sample.data)):
        reader = parse(sample.data[:end])
        assert not reader.complete, end
        with pytest.raises(ConnectionLostError):
            reader.end()
        assert not reader.complete, end


def test_a_response_without_a_length_needs_its_complete_head() -> None:
    """The response is lost if its head is cut. Its body ends with the connection."""
    for end in range(CLOSE_DELIMITED.head):
        with pytest.raises(ConnectionLostError):
            parse(CLOSE_DELIMITED.data[:end]).end()
    assert read(CLOSE_DELIMITED.data[: CLOSE_DELIMITED.head + 5]).body == BODY[:5]


@pytest.mark.parametrize("sample", ERRORS, ids=lambda sample: sample.name)
def test_the_status_of_an_error_is_known_when_its_head_is_complete(sample: Sample) -> None:
    """It is not known earlier. A truncated body is ignored."""
    for end in range(len(sample.data)):
        reader = parse(sample.data[:end])
        assert reader.status == (sample.status if end >= sample.head else 0)
        with pytest.raises(ConnectionLostError):
            reader.end()
        if reader.status:
            assert reader.response().body == b""


# --- Bytes after a response ---


@framed_sample
def test_any_byte_after_a_response_is_noticed(sample: Sample) -> None:
    """It may come with the response or later, alone or with other bytes."""
    for value in range(256):
        extra = bytes([value])
        for reader in (
            parse(sample.data + extra),
            parse(sample.data, extra),
            parse(sample.data[:-1], sample.data[-1:] + extra),
            parse(sample.data + extra * 2),
        ):
            assert reader.complete
            assert reader.has_excess, extra
            assert reader.response().body == sample.body


@framed_sample
@pytest.mark.parametrize("extra", [b"\r\n", b"\r\n\r\n", b"\n", TWO, b"\r\n" + TWO, b"0\r\n\r\n", b"\x00" * 100_000])
def test_bytes_after_a_response_do_not_change_it(sample: Sample, extra: bytes) -> None:
    """The data may be split anywhere, and the extra bytes are noticed."""
    data = sample.data + extra
    for cut in (*range(1, len(sample.data) + 3), len(data)):
        reader = parse(data[:cut], *([data[cut:]] if data[cut:] else []))
        response = reader.response()
        assert (response.status, response.body, reader.has_excess) == (sample.status, sample.body, True)


@framed_sample
def test_a_connection_may_be_used_again_if_no_bytes_follow_the_response(sample: Sample) -> None:
    """The reader reports that there are no extra bytes."""
    reader = parse(sample.data)
    assert (reader.complete, reader.has_excess, reader.keep_alive) == (True, False, True)


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_that_is_not_allowed_counts_as_extra_bytes(status: int) -> None:
    """The length in the head does not matter."""
    head = b"HTTP/1.1 %d No\r\nContent-Length: 5\r\n\r\n" % status
    assert (parse(head).complete, parse(head).has_excess) == (True, False)
    assert not parse(head).keep_alive  # the body may still come
    assert parse(head.replace(b"5", b"0")).keep_alive
    assert parse(head + b"hello").has_excess
    assert parse(head, b"hello").has_excess
    assert parse(head + b"\r\n").has_excess


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Connection: Close, x\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Connection: keep-alive\r\nContent-Length: 2\r\nCONNECTION:\tclose \r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_connection_that_the_server_will_close_is_not_kept(data: bytes) -> None:
    """A header or the HTTP version says so."""
    reader = parse(data)
    assert (reader.complete, reader.keep_alive) == (True, False)
    assert parse(data + b"more").has_excess


def test_http_1_0_may_keep_its_connection() -> None:
    """HTTP/1.0 closes connections unless a header says otherwise."""
    assert parse(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}").keep_alive


# --- Split responses ---


@every_sample
def test_a_split_response_is_read_like_a_whole_one(sample: Sample) -> None:
    """It is split at every byte, and is also sent byte by byte."""
    whole = read(sample.data)
    splits = [(sample.data[:cut], sample.data[cut:]) for cut in range(1, len(sample.data))]
    for pieces in (*splits, tuple(bytes([value]) for value in sample.data)):
        response = read(*pieces)
        assert (response.status, response.reason, response.body) == (whole.status, whole.reason, whole.body)
        assert dict(response.headers) == dict(whole.headers)


def outcome(pieces: list[bytes]) -> tuple[Any, ...]:
    """What the pieces become: a response or a `WireError`, and nothing else."""
    reader = ResponseReader(LIMIT)
    try:
        for piece in pieces:
            if reader.feed(piece) and reader.has_excess:
                break
        if not reader.complete:
            reader.end()
        response = reader.response()
    except WireError as err:
        # The split may decide which error is found first, but not whether there is one.
        return "error", type(err) if isinstance(err, ContentDecodingError | ResponseTooLargeError) else WireError
    return response.status, dict(response.headers), response.body, reader.has_excess, reader.keep_alive


def mutated(random_: random.Random) -> bytes:
    data = bytearray(random_.choice((*ALL, *ERRORS)).data)
    for _ in range(random_.choice((0, 1, 1, 2, 5))):
        at = random_.randrange(len(data))
        match random_.randrange(5):
            case 0:
                data[at] = random_.randrange(256)
            case 1:
                del data[at : at + random_.randrange(1, 9)]
            case 2:
                data[at:at] = random_.randbytes(random_.randrange(1, 4))
            case 3:
                data[at:at] = random_.choice((b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"-1", b"\x00", b"chunked", b": "))
            case _:
                data += random_.choice(FRAMED).data[: random_.randrange(60)]
        data = data or bytearray(b"H")
    return bytes(data)


def any_bytes(random_: random.Random) -> bytes:
    begin = random_.choice((b"", b"HTTP/1.1 ", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"))
    return begin + random_.randbytes(random_.randrange(200))


@pytest.mark.timing
@pytest.mark.parametrize("make", [mutated, any_bytes])
def test_random_bytes_have_the_same_outcome_however_they_are_split(make: Callable[[random.Random], bytes]) -> None:
    """The bytes are changed responses or noise. Only `WireError` is raised, and no case takes long."""
    random_ = random.Random(20)  # noqa: S311 - the same cases each time
    for _ in range(FUZZ // 2):
        data, started = make(random_), time.monotonic()
        cuts = sorted(random_.randrange(len(data) + 1) for _ in range(random_.randrange(1, 6)))
        pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        split = outcome([piece for piece in pieces if piece])
        assert split == outcome([data]), pieces
        assert time.monotonic() - started < 1


class HeadParser:
    """What the parser llhttp reads from a head."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = self.keep_alive = False
        self.parser = HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True

    def on_message_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()


def test_heads_are_read_as_llhttp_reads_them() -> None:
    """A difference would let two programs see different responses in the same bytes."""
    random_, compared = random.Random(21), 0  # noqa: S311
    texts = (b"", b" ", b"a", b"\xe9", b"a b", b"\t", b":", b"a:b", b"\x7f", b"\x01", b"\r", b"\n", b"close", b"5")
    names = (b"X-A", b"x_b", b"Connection", b"Content-Type", b"X A", b"X-A ", b"", b"\xe9", b"Set-Cookie")
    for _ in range(FUZZ // 10):
        lines = [
            random_.choice(names) + b":" + b"".join(random_.choices(texts, k=3)) for _ in range(random_.randrange(5))
        ]
        first = b"HTTP/1.%d%b%d%b" % (
            random_.randrange(2),
            random_.choice((b" ", b"  ")),
            random_.choice((200, 404, 599, 999)),
            random_.choice((b"", b" ", b" OK", b"  Not \xe9", b"OK", b"\t")),
        )
        data = b"\r\n".join((random_.choice((b"", b"\r\n")) + first, *lines, b"Content-Length: 0", b"", b""))
        heads = HeadParser()
        try:
            heads.parser.feed_data(data)
        except HttpParserError:
            with pytest.raises(ConnectionLostError):
                parse(data)
            continue
        reader = parse(data)
        headers = Headers(
            (name.decode("latin-1"), value.decode("latin-1").rstrip(" ")) for name, value in heads.headers
        )
        assert (reader.status, dict(reader.response().headers)) == (heads.parser.get_status_code(), dict(headers))
        assert reader.keep_alive == heads.keep_alive
        compared += 1
    assert compared > FUZZ // 200


# --- Invalid responses ---


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 2, 2\r\n\r\n{}",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        *(OK + b"Content-Length: %b\r\n\r\n{}" % size for size in (b"two", b"-2", b"+2", b"", b"2 2", b"9" * 30)),
        *(
            OK + b"Transfer-Encoding: %b\r\n\r\n2\r\n{}\r\n0\r\n\r\n" % coding
            for coding in (b"chunked,", b"chunked, gzip", b"gzip, chunked", b"chunked;q=1", b"gzip", b"chunked\t", b"")
        ),
        *(
            OK + b"Transfer-Encoding: chunked\r\n\r\n%b\r\n{}\r\n0\r\n\r\n" % size
            for size in (b"-2", b"+2", b"0x2", b"", b" 2", b"two", b"2 ", b"F" * 17)
        ),
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
        OK + b"Content-Length : 2\r\n\r\n{}",
        OK + b"Any: one\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Any: \x00\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"no colon\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        *(b"HTTP/1.1 %b X\r\nContent-Length: 2\r\n\r\n{}" % code for code in (b"000", b"099", b"20", b"2000", b"2x0")),
        b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"ICY 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + TWO,
        b"HTTP/1.1 101 Switching\r\n\r\n" + TWO,
        b"\x15\x03\x01\x00\x02\x02\x50",  # a TLS alert
        b"HTTP/2.0\r\n\r\n",
    ],
)  # fmt: skip
def test_an_ambiguous_or_invalid_response_fails_immediately(data: bytes) -> None:
    """The error does not wait for the end of the connection. The response may also arrive byte by byte."""
    with pytest.raises(ConnectionLostError):
        parse(data)
    with pytest.raises(ConnectionLostError):
        parse(*(bytes([value]) for value in data))


def test_an_error_with_invalid_framing_keeps_its_status() -> None:
    """The head of the response was complete."""
    reader = ResponseReader(LIMIT)
    with pytest.raises(ConnectionLostError):
        reader.feed(b"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n")
    assert (reader.status, reader.response().body) == (429, b"")


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (OK, b"x-filler: 123456789\r\n"),
        (OK + b"X-One: ", b"x" * 1000),
        (b"HTTP/1.1 200 ", b"x" * 1000),
        (b"", b"\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"x-trailer: 1\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 500 + b"\r\n{\r\n"),
    ],
)
@pytest.mark.parametrize("piece", [100, 64 * 1024])
def test_endless_data_outside_of_the_body_is_limited(begin: bytes, again: bytes, piece: int) -> None:
    """Heads, interim responses, chunk extensions, chunk sizes and trailers cannot be endless."""
    reader, size = parse(*([begin] if begin else [])), 0
    flood = again * (piece // len(again) + 1)
    with pytest.raises(ConnectionLostError):  # noqa: PT012 - one of many pieces
        while size < 2 * MAX_HEAD:
            reader.feed(flood)
            size += len(flood)
    assert size <= 2 * MAX_HEAD


def test_a_body_in_chunks_of_one_byte_is_accepted() -> None:
    """The limit for other data grows with the body."""
    size = 200_000
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;ab=cd\r\n{\r\n" * size + b"0\r\n\r\n"
    assert read(*(data[begin : begin + 65536] for begin in range(0, len(data), 65536))).body == b"{" * size


def test_a_body_in_chunks_of_one_byte_needs_little_memory() -> None:
    """Each chunk would otherwise be an object of its own, which takes 40 times as much memory as its byte."""
    size, reader = 200_000, parse(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    chunks = b"1\r\n{\r\n" * 10_000
    tracemalloc.start()
    try:
        for _ in range(size // 10_000):
            reader.feed(chunks)
        assert tracemalloc.get_traced_memory()[0] < 2 * size
    finally:
        tracemalloc.stop()
    reader.feed(b"0\r\n\r\n")
    assert reader.response().body == b"{" * size


def test_interim_responses_do_not_change_the_response() -> None:
    """Their headers and reasons are ignored."""
    response = read(b"HTTP/1.1 103 Early\r\nX-Early: 1\r\nContent-Length: 9\r\n\r\n" + TWO)
    assert (response.status, response.reason, response.body) == (200, "OK", b"{}")
    assert list(response.headers) == ["Content-Length"]


# --- Headers ---


def test_headers_are_latin_1_may_be_empty_and_are_joined() -> None:
    """The case of names does not matter. Trailers are not headers."""
    data = OK + b"X-A: \xe9\r\nX-B:\r\nx-a:  two \r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: trailer\r\n\r\n"
    headers = read(data).headers
    assert (headers["x-A"], headers["X-B"], "x-b" in headers, len(headers)) == ("\xe9, two", "", True, 3)
    assert list(headers.without("X-a")) == ["X-B", "Transfer-Encoding"]
    assert "two" not in repr(headers)


def test_headers_can_be_made_from_a_mapping() -> None:
    """Libraries that replace the HTTP layer do so."""
    headers = Headers({"Content-Type": "a"})
    number: object = 1
    assert (headers["content-type"], headers.get("none"), number in headers) == ("a", None, False)


def test_a_body_is_read_and_streamed_once() -> None:
    """requests and botocore read it in these ways."""
    response = read(TWO)
    assert (response.read(1), response.read(-1), response.read(), list(response.stream())) == (b"{", b"}", b"", [])
    assert list(read(TWO).stream(1)) == [b"{}"]


# --- Compression ---


COMPRESSED = [sample for sample in FRAMED if "gzip" in sample.name or "deflate" in sample.name]


@pytest.mark.parametrize("sample", COMPRESSED, ids=lambda sample: sample.name)
def test_a_truncated_compressed_body_is_not_decoded(sample: Sample) -> None:
    """A 2xx response raises its own error. The body of any other response is empty."""
    encoding = "deflate" if "deflate" in sample.name else "gzip"
    packed = read(sample.data.replace(b"Content-Encoding", b"X-Was-Encoding")).body
    first = len(gzip.compress(BODY[:9], mtime=0)) if "members" in sample.name else 0
    for end in range(1, len(packed)):
        if end == first:
            continue  # a complete gzip body
        with pytest.raises(ContentDecodingError):
            read(gzipped(packed[:end], encoding))
        assert read(gzipped(packed[:end], encoding, 500)).body == b""


def test_decoding_errors_do_not_quote_headers() -> None:
    """Headers may contain a key."""
    with pytest.raises(ContentDecodingError) as caught:
        read(gzipped(b"no", "hunter2, gzip"))
    assert "hunter2" not in str(caught.value)


def test_encodings_in_several_headers_are_all_decoded() -> None:
    """The last one is decoded first, as if one header listed them."""
    packed = gzip.compress(gzip.compress(b"{}"))
    head = b"content-encoding: GZIP\r\nContent-Encoding:gzip \r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert read(OK + head + packed).body == b"{}"


@pytest.mark.parametrize("encoding", ["br", "identity", "x-unknown", "zstd, br", ","])
def test_an_unknown_encoding_is_not_decoded(encoding: str) -> None:
    """The client did not ask for it."""
    assert read(gzipped(b"as it is", encoding)).body == b"as it is"


def test_several_encodings_are_decoded_in_reverse_order() -> None:
    """The encoding that was applied last is decoded first."""
    assert read(gzipped(gzip.compress(zlib.compress(BODY)), "Deflate, X-GZIP")).body == BODY


def test_padding_after_a_gzip_body_is_ignored() -> None:
    """`gzip` itself does the same."""
    assert read(gzipped(gzip.compress(BODY) + b"\x00" * 100)).body == BODY


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_size_limit_applies_to_the_decompressed_body(size: int) -> None:
    """It is exact to the byte, for several members and for each encoding."""
    body = b" " * size
    half = gzip.compress(body[: size // 2]) + gzip.compress(body[size // 2 :])
    for data in (gzipped(gzip.compress(body)), gzipped(half), gzipped(zlib.compress(body), "deflate")):
        if size > LIMIT:
            with pytest.raises(ResponseTooLargeError):
                read(data)
        else:
            assert read(data).body == body


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_size_limit_applies_to_the_body_that_is_sent(size: int) -> None:
    """It is exact to the byte in each framing. A `Content-Length` that is too large fails before the body comes."""
    body = b" " * size
    for head, content in (
        (b"Content-Length: %d\r\n\r\n" % size, body),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)),
        (b"\r\n", body),
    ):
        if size > LIMIT:
            with pytest.raises(ResponseTooLargeError):
                parse(OK + head, *(() if head.startswith(b"Content-Length") else (content,)))
        else:
            assert read(OK + head + content).body == body


@pytest.mark.timing
def test_many_gzip_members_take_little_time() -> None:
    """The reader does not copy the rest of the body for each member."""
    body = gzip.compress(b"", mtime=0) * 200_000  # 4 MB
    started = time.process_time()
    with pytest.raises(ContentDecodingError):
        read(gzipped(body), limit=100 << 20)
    assert time.process_time() - started < 1


@pytest.mark.timing
def test_many_encodings_take_little_time() -> None:
    """Each decoded layer may be as large as the limit, and small when it is compressed again."""
    body = b"{}"
    for _ in range(50):
        body = gzip.compress(body + b"\x00" * 1_000_000, 1)
    started = time.process_time()
    with pytest.raises(ContentDecodingError):
        read(gzipped(body, ", ".join(["gzip"] * 50)), limit=100 << 20)
    assert time.process_time() - started < 0.5


# --- Exceptions in callbacks ---


def test_an_error_is_raised_while_another_exception_is_being_handled() -> None:
    """A call in an `except` block raises its own error."""
    for data in (OK + b"Content-Length: 9999999\r\n\r\n", OK + b"Transfer-Encoding: gzip\r\n\r\n"):
        try:
            raise KeyError("of the caller")
        except KeyError:
            with pytest.raises(WireError) as caught:
                parse(data, limit=100)
            assert caught.value.__cause__ is None


class Stop(BaseException):
    """A timeout that a worker raises from a signal."""


@pytest.mark.parametrize("is_handling", [False, True])
def test_an_interrupt_while_a_response_is_parsed_is_raised_unchanged(is_handling: bool) -> None:
    """It may come in any callback, and while another exception is being handled."""

    def stop(*_: object) -> None:
        raise Stop

    # The parser spends nearly all its time in callbacks here.
    data = OK + b"".join(b"x-%d: 1\r\n" % number for number in range(3000)) + b"Transfer-Encoding: chunked\r\n\r\n"
    data += b"1\r\n{\r\n" * 3000
    gc.disable()  # hypothesis adds callbacks to the collector, in which an interrupt would be lost
    before = signal.signal(signal.SIGALRM, stop)
    random_, interrupted = random.Random(7), 0  # noqa: S311

    def feed() -> None:
        nonlocal interrupted
        reader = ResponseReader(LIMIT)
        try:
            signal.setitimer(signal.ITIMER_REAL, random_.uniform(0.0001, 0.0006))
            reader.feed(data)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Stop:
            interrupted += 1

    try:
        with untraced():
            for _ in range(300):
                if is_handling:
                    try:
                        raise KeyError
                    except KeyError:
                        feed()
                else:
                    feed()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert interrupted > 100
