"""How a response is made of bytes: without I/O, so that every cut, split and excess can be tried."""

from __future__ import annotations

import gc
import gzip
import os
import random
import signal
import time
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
# `WIRE_FUZZ=100000` is the long run; the short one is for every day.
FUZZ = int(os.environ.get("WIRE_FUZZ", "20000"))

named = pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.name)
framed = pytest.mark.parametrize("sample", FRAMED, ids=lambda sample: sample.name)


def fed(*pieces: bytes, limit: int = LIMIT) -> ResponseReader:
    reader = ResponseReader(limit)
    for piece in pieces:
        reader.feed(piece)
    return reader


def read(*pieces: bytes, limit: int = LIMIT) -> Response:
    """The response of pieces after which the connection ends."""
    reader = fed(*pieces, limit=limit)
    if not reader.complete:
        reader.end()
    return reader.response()


def gzipped(body: bytes, encoding: str = "gzip", status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (
        status,
        encoding.encode(),
        len(body),
    ) + body  # fmt: skip


# --- Whole or not at all ---


@named
def test_a_whole_response_is_read(sample: Sample) -> None:
    """Status, headers and the decoded body, in every framing."""
    response = read(sample.data)
    assert (response.status, response.body) == (sample.status, sample.body)
    assert response.headers.get("link") is None


@framed
def test_no_prefix_is_a_response(sample: Sample) -> None:
    """Cut at any byte, of the head as of the body, it is lost."""
    for end in range(len(sample.data)):
        reader = fed(sample.data[:end])
        assert not reader.complete, end
        with pytest.raises(ConnectionLostError):
            reader.end()
        assert not reader.complete, end


def test_a_response_that_ends_with_its_connection_needs_its_whole_head() -> None:
    """Cut within the head it is lost; its body ends wherever the connection does."""
    for end in range(CLOSE_DELIMITED.head):
        with pytest.raises(ConnectionLostError):
            fed(CLOSE_DELIMITED.data[:end]).end()
    assert read(CLOSE_DELIMITED.data[: CLOSE_DELIMITED.head + 5]).body == BODY[:5]


@pytest.mark.parametrize("sample", ERRORS, ids=lambda sample: sample.name)
def test_of_an_error_the_status_is_known_from_its_whole_head_on(sample: Sample) -> None:
    """Not a byte earlier; a body that breaks off counts as none."""
    for end in range(len(sample.data)):
        reader = fed(sample.data[:end])
        assert reader.status == (sample.status if end >= sample.head else 0)
        with pytest.raises(ConnectionLostError):
            reader.end()
        if reader.status:
            assert reader.response().body == b""


# --- What is behind it ---


@framed
def test_whatever_is_behind_a_response_is_noticed(sample: Sample) -> None:
    """A single byte of any value, in the same piece or in a later one, as the last or with others."""
    for value in range(256):
        behind = bytes([value])
        for reader in (
            fed(sample.data + behind),
            fed(sample.data, behind),
            fed(sample.data[:-1], sample.data[-1:] + behind),
            fed(sample.data + behind * 2),
        ):
            assert reader.complete
            assert reader.has_excess, behind
            assert reader.response().body == sample.body


@framed
@pytest.mark.parametrize("behind", [b"\r\n", b"\r\n\r\n", b"\n", TWO, b"\r\n" + TWO, b"0\r\n\r\n", b"\x00" * 100_000])
def test_nothing_behind_a_response_changes_it(sample: Sample, behind: bytes) -> None:
    """Cut anywhere, the first response stands, and the rest is told."""
    data = sample.data + behind
    for cut in (*range(1, len(sample.data) + 3), len(data)):
        reader = fed(data[:cut], *([data[cut:]] if data[cut:] else []))
        response = reader.response()
        assert (response.status, response.body, reader.has_excess) == (sample.status, sample.body, True)


@framed
def test_without_anything_behind_it_the_connection_may_be_used_again(sample: Sample) -> None:
    """The other way round: what is exact is not suspected."""
    reader = fed(sample.data)
    assert (reader.complete, reader.has_excess, reader.keep_alive) == (True, False, True)


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_there_must_be_none_is_excess(status: int) -> None:
    """Whatever length the head claims."""
    head = b"HTTP/1.1 %d No\r\nContent-Length: 5\r\n\r\n" % status
    assert (fed(head).complete, fed(head).has_excess) == (True, False)
    assert not fed(head).keep_alive  # it may still be on its way
    assert fed(head.replace(b"5", b"0")).keep_alive
    assert fed(head + b"hello").has_excess
    assert fed(head, b"hello").has_excess
    assert fed(head + b"\r\n").has_excess


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Connection: Close, x\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Connection: keep-alive\r\nContent-Length: 2\r\nCONNECTION:\tclose \r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_connection_that_is_to_close_is_not_kept(data: bytes) -> None:
    """By its header or by its version."""
    reader = fed(data)
    assert (reader.complete, reader.keep_alive) == (True, False)
    assert fed(data + b"more").has_excess


def test_http_1_0_may_keep_its_connection() -> None:
    """When it says so."""
    assert fed(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}").keep_alive


# --- However it is split ---


@named
def test_two_pieces_are_as_one(sample: Sample) -> None:
    """Cut at every byte; then byte by byte."""
    whole = read(sample.data)
    splits = [(sample.data[:cut], sample.data[cut:]) for cut in range(1, len(sample.data))]
    for pieces in (*splits, tuple(bytes([value]) for value in sample.data)):
        response = read(*pieces)
        assert (response.status, response.reason, response.body) == (whole.status, whole.reason, whole.body)
        assert dict(response.headers) == dict(whole.headers)


def outcome(pieces: list[bytes]) -> tuple[Any, ...]:
    """What comes of pieces, which must be a response or a `WireError`, and nothing else."""
    reader = ResponseReader(LIMIT)
    try:
        for piece in pieces:
            if reader.feed(piece) and reader.has_excess:
                break
        if not reader.complete:
            reader.end()
        response = reader.response()
    except WireError as err:
        # Which error is found first may depend on the pieces; that there is one may not.
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
def test_any_bytes_in_any_pieces_come_to_the_same(make: Callable[[random.Random], bytes]) -> None:
    """Random splits of responses that are changed at random, or of noise; nothing raw, and no case takes long."""
    random_ = random.Random(20)  # noqa: S311 - the same cases each time
    for _ in range(FUZZ // 2):
        data, started = make(random_), time.monotonic()
        cuts = sorted(random_.randrange(len(data) + 1) for _ in range(random_.randrange(1, 6)))
        pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        split = outcome([piece for piece in pieces if piece])
        assert split == outcome([data]), pieces
        assert time.monotonic() - started < 1


class Heads:
    """What llhttp itself makes of a head."""

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
    """Names, values and status of whatever it takes; else a framing could be seen by one and not by the other."""
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
        heads = Heads()
        try:
            heads.parser.feed_data(data)
        except HttpParserError:
            with pytest.raises(ConnectionLostError):
                fed(data)
            continue
        reader = fed(data)
        headers = Headers(
            (name.decode("latin-1"), value.decode("latin-1").rstrip(" ")) for name, value in heads.headers
        )
        assert (reader.status, dict(reader.response().headers)) == (heads.parser.get_status_code(), dict(headers))
        assert reader.keep_alive == heads.keep_alive
        compared += 1
    assert compared > FUZZ // 200


# --- What a response may not be ---


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
def test_what_is_ambiguous_or_not_http_is_lost_at_once(data: bytes) -> None:
    """Without waiting for the end of the connection, in one piece as byte by byte."""
    with pytest.raises(ConnectionLostError):
        fed(data)
    with pytest.raises(ConnectionLostError):
        fed(*(bytes([value]) for value in data))


def test_a_wrong_framing_of_an_error_leaves_its_status() -> None:
    """Once its head was whole."""
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
def test_what_has_no_end_but_is_no_body_is_bounded(begin: bytes, again: bytes, piece: int) -> None:
    """Heads, interim responses, extensions, sizes and trailers without end."""
    reader, size = fed(*([begin] if begin else [])), 0
    flood = again * (piece // len(again) + 1)
    with pytest.raises(ConnectionLostError):  # noqa: PT012 - one of many pieces
        while size < 2 * MAX_HEAD:
            reader.feed(flood)
            size += len(flood)
    assert size <= 2 * MAX_HEAD


def test_a_body_of_chunks_of_one_byte_is_no_flood() -> None:
    """The bound on what is not body grows with the body."""
    size = 200_000
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;ab=cd\r\n{\r\n" * size + b"0\r\n\r\n"
    assert read(*(data[begin : begin + 65536] for begin in range(0, len(data), 65536))).body == b"{" * size


def test_interim_responses_leave_nothing_behind() -> None:
    """Neither headers nor a reason."""
    response = read(b"HTTP/1.1 103 Early\r\nX-Early: 1\r\nContent-Length: 9\r\n\r\n" + TWO)
    assert (response.status, response.reason, response.body) == (200, "OK", b"{}")
    assert list(response.headers) == ["Content-Length"]


# --- Headers ---


def test_headers_are_latin_1_may_be_empty_and_are_joined() -> None:
    """Looked up without regard to case; trailers are not among them."""
    data = OK + b"X-A: \xe9\r\nX-B:\r\nx-a:  two \r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: trailer\r\n\r\n"
    headers = read(data).headers
    assert (headers["x-A"], headers["X-B"], "x-b" in headers, len(headers)) == ("\xe9, two", "", True, 3)
    assert list(headers.without("X-a")) == ["X-B", "Transfer-Encoding"]
    assert "two" not in repr(headers)


def test_a_mapping_makes_headers_too() -> None:
    """As tools that stand in for the wire have them."""
    headers = Headers({"Content-Type": "a"})
    number: object = 1
    assert (headers["content-type"], headers.get("none"), number in headers) == ("a", None, False)


def test_a_body_is_read_and_streamed_once() -> None:
    """As requests and botocore do."""
    response = read(TWO)
    assert (response.read(1), response.read(-1), response.read(), list(response.stream())) == (b"{", b"}", b"", [])
    assert list(read(TWO).stream(1)) == [b"{}"]


# --- Compression ---


COMPRESSED = [sample for sample in FRAMED if "gzip" in sample.name or "deflate" in sample.name]


@pytest.mark.parametrize("sample", COMPRESSED, ids=lambda sample: sample.name)
def test_a_compressed_body_that_is_cut_but_whole_by_http_is_not_decoded(sample: Sample) -> None:
    """Cut at any byte of what is compressed: an error of its own on 2xx, no body on an error."""
    encoding = "deflate" if "deflate" in sample.name else "gzip"
    packed = read(sample.data.replace(b"Content-Encoding", b"X-Was-Encoding")).body
    first = len(gzip.compress(BODY[:9], mtime=0)) if "members" in sample.name else 0
    for end in range(1, len(packed)):
        if end == first:
            continue  # a whole gzip body of its own
        with pytest.raises(ContentDecodingError):
            read(gzipped(packed[:end], encoding))
        assert read(gzipped(packed[:end], encoding, 500)).body == b""


def test_decoding_errors_quote_nothing() -> None:
    """Headers may repeat a key."""
    with pytest.raises(ContentDecodingError) as caught:
        read(gzipped(b"no", "hunter2, gzip"))
    assert "hunter2" not in str(caught.value)


def test_encodings_in_several_headers_are_all_decoded() -> None:
    """The last one first, as when one header lists them."""
    packed = gzip.compress(gzip.compress(b"{}"))
    head = b"content-encoding: GZIP\r\nContent-Encoding:gzip \r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert read(OK + head + packed).body == b"{}"


@pytest.mark.parametrize("encoding", ["br", "identity", "x-unknown", "zstd, br", ","])
def test_an_unknown_encoding_is_left_as_it_is(encoding: str) -> None:
    """Nobody asked for it; what reads the body says what it is not."""
    assert read(gzipped(b"as it is", encoding)).body == b"as it is"


def test_encodings_are_undone_in_turn() -> None:
    """The last that was applied is undone first."""
    assert read(gzipped(gzip.compress(zlib.compress(BODY)), "Deflate, X-GZIP")).body == BODY


def test_padding_behind_a_gzip_body_is_no_part_of_it() -> None:
    """As `gzip` itself has it."""
    assert read(gzipped(gzip.compress(BODY) + b"\x00" * 100)).body == BODY


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_limit_counts_what_is_decompressed(size: int) -> None:
    """To the byte, over several members, in each encoding; for an error, too."""
    body = b" " * size
    half = gzip.compress(body[: size // 2]) + gzip.compress(body[size // 2 :])
    for data in (gzipped(gzip.compress(body)), gzipped(half), gzipped(zlib.compress(body), "deflate")):
        if size > LIMIT:
            with pytest.raises(ResponseTooLargeError):
                read(data)
        else:
            assert read(data).body == body


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_limit_counts_what_is_sent(size: int) -> None:
    """To the byte, by length, in chunks, and until the connection ends; a length is refused before it arrives."""
    body = b" " * size
    for head, content in (
        (b"Content-Length: %d\r\n\r\n" % size, body),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)),
        (b"\r\n", body),
    ):
        if size > LIMIT:
            with pytest.raises(ResponseTooLargeError):
                fed(OK + head, *(() if head.startswith(b"Content-Length") else (content,)))
        else:
            assert read(OK + head + content).body == body


@pytest.mark.timing
def test_many_members_cost_no_time() -> None:
    """Each would have copied what is behind it."""
    body = gzip.compress(b"", mtime=0) * 200_000  # 4 MB
    started = time.process_time()
    with pytest.raises(ContentDecodingError):
        read(gzipped(body), limit=100 << 20)
    assert time.process_time() - started < 1


@pytest.mark.timing
def test_many_encodings_cost_no_time() -> None:
    """A layer may be as large as the limit, and small when it is packed again."""
    body = b"{}"
    for _ in range(50):
        body = gzip.compress(body + b"\x00" * 1_000_000, 1)
    started = time.process_time()
    with pytest.raises(ContentDecodingError):
        read(gzipped(body, ", ".join(["gzip"] * 50)), limit=100 << 20)
    assert time.process_time() - started < 0.5


# --- Exceptions in callbacks ---


def test_an_error_comes_out_where_another_is_being_handled() -> None:
    """A call in an `except` block ends with its own error, and not with the one that is handled there."""
    for data in (OK + b"Content-Length: 9999999\r\n\r\n", OK + b"Transfer-Encoding: gzip\r\n\r\n"):
        try:
            raise KeyError("of the caller")
        except KeyError:
            with pytest.raises(WireError) as caught:
                fed(data, limit=100)
            assert caught.value.__cause__ is None


class Stop(BaseException):
    """As a worker's time-out raises it from a signal."""


@pytest.mark.parametrize("is_handling", [False, True])
def test_an_interrupt_while_a_response_is_parsed_comes_out_as_itself(is_handling: bool) -> None:
    """Whichever callback it strikes, and where another exception is being handled, too."""

    def stop(*_: object) -> None:
        raise Stop

    # Nearly all the time of this is spent in callbacks.
    data = OK + b"".join(b"x-%d: 1\r\n" % number for number in range(3000)) + b"Transfer-Encoding: chunked\r\n\r\n"
    data += b"1\r\n{\r\n" * 3000
    gc.disable()  # its callbacks, which hypothesis has, swallow what strikes them
    before = signal.signal(signal.SIGALRM, stop)
    random_, struck = random.Random(7), 0  # noqa: S311

    def feed() -> None:
        nonlocal struck
        reader = ResponseReader(LIMIT)
        try:
            signal.setitimer(signal.ITIMER_REAL, random_.uniform(0.0001, 0.0006))
            reader.feed(data)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Stop:
            struck += 1

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
    assert struck > 100
