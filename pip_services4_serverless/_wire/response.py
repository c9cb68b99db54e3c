"""A response, and the parser that creates it from received bytes. It does no I/O, so all connections can share it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from enum import Enum
from functools import partial

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .errors import ConnectionLostError, ContentDecodingError, ResponseTooLargeError
from .headers import Headers

MAX_HEAD = 256 * 1024  # bytes; not only of the head, but of everything except the body and the framing of its chunks
# The headers that say how the body is framed and encoded. Most calls need only these.
_FRAMING = re.compile(r"\r\n(content-length|content-encoding|transfer-encoding|connection):[ \t]*([^\r]*)")
_GZIP = b"\x1f\x8b"
_INFLATE_INPUT = 64 * 1024  # bytes decompressed in one step: zlib copies the part of its input that it does not use
_INFLATE_STEP = 1024 * 1024  # bytes; a decompression bomb may exceed the limit by this much
# The timeout does not include decompression. The size limit bounds the time of one step, and these its repetitions.
_MAX_ENCODINGS = 5
_MAX_MEMBERS = 10_000


class Response:
    """A whole response with a decompressed body.

    It has the methods of a urllib3 response that requests and botocore call.
    """

    __slots__ = ("_position", "body", "headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self._position = 0

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """The next bytes of the body: at most `amt`, or all that are left. The body is decompressed already."""
        begin = self._position
        self._position = len(self.body) if amt is None or amt < 0 else min(begin + amt, len(self.body))
        return self.body[begin : self._position]

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yields the rest of the body in one chunk."""
        if rest := self.read():
            yield rest

    def release_conn(self) -> None:
        """Does nothing, because the whole response has been read and its connection was released."""

    def close(self) -> None:
        """Does nothing, for the same reason."""


class _Event(Enum):
    BEGIN = 1
    HEAD = 2
    END = 3


_BEGIN, _HEAD, _END = _Event


class ResponseReader:
    """Parses one response.

    Args:
        limit: the maximum size of the body after decompression, in bytes.
        head_only: whether the response ends after its head, like a proxy's response to `CONNECT`.
    """

    __slots__ = (
        "_body",
        "_encoding",
        "_ends_with_connection",
        "_events",
        "_head",
        "_head_only",
        "_headers",
        "_limit",
        "_overhead",
        "_parser",
        "_reason",
        "_size",
        "_status",
        "complete",
        "has_excess",
        "keep_alive",
    )

    def __init__(self, limit: int, head_only: bool = False) -> None:
        self._limit = limit
        self._head_only = head_only
        self._events: list[bytes | _Event] = []
        self._parser: HttpResponseParser | None = HttpResponseParser(_Events(self._events))
        self._head = bytearray()  # of the response that is being read, which may be an interim response
        self._reason = self._encoding = ""
        self._status = 0  # until the head of the final response is complete
        self._body: list[bytes] = []
        self._size = 0  # bytes of the body
        self._overhead = 0  # bytes of everything else
        self._ends_with_connection = False
        self.complete = False
        self.keep_alive = False  # whether the connection may be reused
        self.has_excess = False  # whether there is data after the response

    def feed(self, data: bytes) -> bool:
        """Parses received bytes. Returns True when the response is complete.

        Raises:
            ConnectionLostError: the data is not valid HTTP.
            ResponseTooLargeError: the body is larger than the limit.
        """
        if data.endswith((b"\r", b"\n")):
            # llhttp skips line breaks after a response. If such a byte is parsed separately, it is counted as excess.
            self._parse(data[:-1])
            self._parse(data[-1:])
        else:
            self._parse(data)
        # A chunk of one byte has up to 16 bytes of overhead. An endless head, trailer or chunk extension has more.
        if self._overhead > MAX_HEAD + 16 * self._size and not self.complete:
            raise ConnectionLostError(f"The response head is larger than {MAX_HEAD} bytes")
        return self.complete

    def _parse(self, data: bytes) -> None:
        if self._parser is None or self.complete:
            self.has_excess = True
            return
        if not self._status:
            self._head += data
        before = self._size
        failure = None
        try:
            self._parser.feed_data(data)
        except HttpParserError as err:
            failure = str(err)
        except HttpParserUpgrade:
            failure = "an upgrade that was not requested"
        self._handle_events()
        self._overhead += len(data) - (self._size - before)
        if failure is not None:
            self._parser = None
            if not self.complete:  # if it is complete, the invalid data comes after it
                raise ConnectionLostError(f"The response is not valid HTTP: {failure}")
            self.has_excess = True

    def end(self) -> None:
        """Handles the end of the connection.

        Raises:
            ConnectionLostError: the response is not complete.
        """
        self._parser = None
        self.complete = self.complete or (self._ends_with_connection and self._status > 0)
        if not self.complete:
            where = "in the middle of the response body" if self._status else "before the response head was complete"
            raise ConnectionLostError(f"The server closed the connection {where}")

    @property
    def status(self) -> int:
        """The response's status, or 0 until its head is complete."""
        return self._status

    def response(self) -> Response:
        """The response. The body of a non-2xx response is empty if it is incomplete or cannot be decoded.

        Raises:
            ContentDecodingError: the body of a 2xx response does not match its `Content-Encoding`.
            ResponseTooLargeError: the body is larger than the limit after decompression.
        """
        body = (self._body[0] if len(self._body) == 1 else b"".join(self._body)) if self.complete else b""
        if self._encoding and body:
            try:
                body = _decode(body, self._encoding, self._limit)
            except zlib.error as err:
                if 200 <= self._status < 300:
                    raise ContentDecodingError("The response body does not match its Content-Encoding") from err
                body = b""
        return Response(self._status, self._reason, self._headers, body)

    def _handle_events(self) -> None:
        known = len(self._body)
        for event in self._events:
            if self.complete:
                # With `head_only`, the event for the end comes after the response is complete. It is not excess.
                self.has_excess = self.has_excess or event is not _END
            elif isinstance(event, bytes):
                self._size += len(event)
                if self._size > self._limit:
                    raise ResponseTooLargeError(f"The response body is larger than {self._limit} bytes")
                self._body.append(event)
            elif event is _HEAD:
                self._handle_head()
            elif event is _END and self._status:  # status 0: an interim response ended
                self.complete = True
        self._events.clear()
        if len(self._body) > known + 1:  # small chunks, which need much more memory than their content
            self._body[known:] = [b"".join(self._body[known:])]

    def _handle_head(self) -> None:
        """Reads the head, which llhttp has checked: all lines end with CR and LF, and only the last one is empty."""
        head = self._head if self._head.startswith(b"HTTP") else self._head.lstrip(b"\r\n")
        end = head.index(b"\r\n\r\n")
        text = head[:end].decode("latin-1")
        line, _, lines = text.partition("\r\n")
        version, number, *reason = line.split(" ", 2)
        status = int(number)
        if status < 100 or status == 101:
            raise ConnectionLostError(f"The response is not valid HTTP: unexpected status {status}")
        if status < 200:  # an interim response, which another response follows
            self._head = head[end + 4 :]
            return
        self._status = status
        self._reason = reason[0] if reason else ""
        self._headers = Headers.from_text(lines)
        if self._head_only:
            self.complete = True
            return
        framing: dict[str, str] = {}
        for name, value in _FRAMING.findall(text.lower()):
            framing[name] = f"{framing[name]}, {value}" if name in framing else value
        self._encoding = framing.get("content-encoding", "")
        length, coding = framing.get("content-length"), framing.get("transfer-encoding")
        has_body = status not in (204, 304)  # these have no body, even if their head describes one
        if has_body and length and int(length) > self._limit:
            raise ResponseTooLargeError(f"The response body is larger than {self._limit} bytes")
        # No other coding was requested. llhttp would read the chunks as a body that ends with the connection.
        if coding is not None and coding.rstrip(" ") != "chunked":
            raise ConnectionLostError("The response's Transfer-Encoding is not supported")
        is_framed = bool(length or coding)
        self._ends_with_connection = has_body and not is_framed
        # A body that is not allowed may arrive anyway, and would be read as the beginning of the next response.
        is_exact = is_framed if has_body else not coding and (not length or int(length) == 0)
        self.keep_alive = is_exact and version == "HTTP/1.1"
        if connection := framing.get("connection"):
            tokens = [token.strip() for token in connection.split(",")]
            is_persistent = self.keep_alive or "keep-alive" in tokens
            self.keep_alive = is_exact and is_persistent and "close" not in tokens


class _Events:
    """The callbacks of llhttp. They append to a list of events, and are not Python functions.

    In a Python function, a signal handler could raise an exception. httptools loses the exception of a callback if
    the parser is called in an `except` block.
    """

    def __init__(self, events: list[bytes | _Event]) -> None:
        append = self.on_body = events.append
        self.on_message_begin = partial(append, _BEGIN)
        self.on_headers_complete = partial(append, _HEAD)
        self.on_message_complete = partial(append, _END)


def _decode(body: bytes, encodings: str, limit: int) -> bytes:
    """The decompressed body. An encoding that is not known was not requested, and is left as it is."""
    names = encodings.split(",")
    if len(names) > _MAX_ENCODINGS:
        raise zlib.error("too many encodings")
    for name in reversed(names):
        match name.strip():
            case "gzip" | "x-gzip":
                body = _inflate(body, 16 + zlib.MAX_WBITS, limit)
            case "deflate":
                try:
                    body = _inflate(body, zlib.MAX_WBITS, limit)
                except zlib.error:  # some servers leave out the zlib header
                    body = _inflate(body, -zlib.MAX_WBITS, limit)
    return body


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = position = 0
    for _ in range(_MAX_MEMBERS):
        member = zlib.decompressobj(window)
        while not member.eof:
            data = body[position : position + _INFLATE_INPUT]
            chunk = member.decompress(data, _INFLATE_STEP)
            taken = len(data) - len(member.unconsumed_tail) - len(member.unused_data)
            position += taken
            size += len(chunk)
            if size > limit:
                raise ResponseTooLargeError(f"The response body is larger than {limit} bytes after decompression")
            chunks.append(chunk)
            if not chunk and not taken and not member.eof:
                raise zlib.error("incomplete")
        # A gzip body may have several members. Anything else after a member is padding.
        next_member = body[position : position + len(_GZIP)]
        if not next_member or not _GZIP.startswith(next_member):
            return b"".join(chunks)
    raise zlib.error("too many members")
