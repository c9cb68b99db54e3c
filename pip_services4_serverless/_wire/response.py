"""A response, and how it is made of bytes as they come. Does no I/O, so that every kind of connection can use it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from .errors import ConnectionLostError, ContentDecodingError, ResponseTooLargeError

MAX_HEAD = 256 * 1024  # bytes of a response that are neither its body nor a chunk of it
_GZIP = b"\x1f\x8b"
_INFLATE_STEP = 1024 * 1024  # bytes; so much more than the limit a decompression bomb may fill


class Headers(Mapping[str, str]):
    """A response's headers. Names are looked up without regard to case; values of one name are joined by commas."""

    __slots__ = ("_by_name",)

    def __init__(self, pairs: list[tuple[bytes, bytes]] | Mapping[str, str]) -> None:
        self._by_name: dict[str, tuple[str, str]] = {}
        if isinstance(pairs, Mapping):
            self._by_name.update((name.lower(), (name, value)) for name, value in pairs.items())
            return
        for raw_name, raw_value in pairs:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            key = name.lower()
            if key in self._by_name:
                name, before = self._by_name[key]
                value = f"{before}, {value}"
            self._by_name[key] = name, value

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def without(self, name: str) -> Headers:
        """The same headers but for one."""
        return Headers({key: value for key, value in self.items() if key.lower() != name.lower()})

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"  # a value may repeat a key of the request


class Response:
    """A whole response. Its body is decoded already; `read` and `stream` are what requests and botocore ask for."""

    __slots__ = ("_position", "body", "headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self._position = 0

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """The next bytes of the body, `amt` at most; all that are left without it."""
        begin = self._position
        self._position = len(self.body) if amt is None or amt < 0 else min(begin + amt, len(self.body))
        return self.body[begin : self._position]

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        """What is left of the body, in one piece."""
        if rest := self.read():
            yield rest

    def release_conn(self) -> None:
        """Nothing to do: the connection is free since the response was read."""

    def close(self) -> None:
        """Nothing to do, as `release_conn`."""


class ResponseReader:
    """Makes one response of the bytes that follow one request.

    Args:
        limit: the most bytes that the body may have, after decompression.
        head_only: the response ends with its head, as that of a proxy to `CONNECT`.
    """

    __slots__ = (
        "_body",
        "_ends_with_connection",
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
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._status = 0  # until the head of the final response is complete
        self._body: list[bytes] = []
        self._size = 0  # bytes of body
        self._overhead = 0  # bytes of all else
        self._ends_with_connection = False
        self.complete = False
        self.keep_alive = False  # the connection may be used again
        self.has_excess = False  # there is something behind the response

    def feed(self, data: bytes) -> bool:
        """Takes what came from the connection; True when the response is complete.

        Raises:
            ConnectionLostError: this is not an HTTP response.
            ResponseTooLargeError: the body is over the limit.
        """
        if self._parser is None:
            self.has_excess = True
            return self.complete
        self._overhead += len(data)
        before = self._size
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as err:
            self._parser = None
            raise err.__context__ or ConnectionLostError("The response cannot be read") from None
        except (HttpParserError, HttpParserUpgrade) as err:
            self._parser = None
            if not self.complete:  # otherwise it is about what comes after the response
                words = "an upgrade that nobody asked for" if isinstance(err, HttpParserUpgrade) else str(err)
                raise ConnectionLostError(f"The response is not valid HTTP: {words}") from None
            self.has_excess = True
        if self.complete:
            self._parser = None  # it refers to this object, too
        self._overhead -= self._size - before
        # A chunk of one byte comes in up to 16; an endless head, trailer or extension of a chunk would come in more.
        if self._overhead > MAX_HEAD + 16 * self._size and not self.complete:
            raise ConnectionLostError(f"The response's head is over {MAX_HEAD} bytes")
        return self.complete

    def end(self) -> None:
        """Takes the end of the connection.

        Raises:
            ConnectionLostError: the response is not complete.
        """
        self._parser = None
        self.complete = self.complete or (self._ends_with_connection and self._status > 0)
        if not self.complete:
            where = "within the response's body" if self._status else "before the response's head was complete"
            raise ConnectionLostError(f"The connection ended {where}")

    @property
    def status(self) -> int:
        """The response's status, as soon as its head is complete; 0 before."""
        return self._status

    def response(self) -> Response:
        """The response. The body of an error that is not complete, or not decodable, counts as empty.

        Raises:
            ContentDecodingError: the body of a 2xx response is not what its `Content-Encoding` says.
            ResponseTooLargeError: the body is over the limit once it is decompressed.
        """
        headers = Headers(self._headers)
        body = (self._body[0] if len(self._body) == 1 else b"".join(self._body)) if self.complete else b""
        encoding = headers.get("content-encoding")
        if encoding and body:
            try:
                body = _decoded(body, encoding, self._limit)
            except zlib.error as err:
                if 200 <= self._status < 300:
                    raise ContentDecodingError(f"The response's body is not valid {encoding[:20]!r}") from err
                body = b""
        return Response(self._status, self._reason.decode("latin-1"), headers, body)

    # --- What httptools calls ---

    def on_message_begin(self) -> None:
        if self.complete:
            self.has_excess = True
            return
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        if not self.complete:
            self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # a trailer is none of the response's headers
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete or self._parser is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return  # an interim response; the final one comes after it
        self._status = status
        framed = False
        for name, value in self._headers:
            name = name.lower()
            if name == b"content-length":
                framed = True
                if int(value) > self._limit and not self._head_only:
                    raise ResponseTooLargeError(f"The response's body is over {self._limit} bytes")
            elif name == b"transfer-encoding":
                framed = framed or value.lower().rpartition(b",")[2].strip() == b"chunked"
        self._ends_with_connection = not framed
        if self._head_only:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        if self._head_only or self.has_excess:
            self.has_excess = True
            return
        self._size += len(data)
        if self._size > self._limit:
            raise ResponseTooLargeError(f"The response's body is over {self._limit} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._status and not self.complete and self._parser is not None:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()


def _decoded(body: bytes, encodings: str, limit: int) -> bytes:
    """The body without its encodings; one that we do not know, and did not ask for, is left as it is."""
    for encoding in reversed(encodings.split(",")):
        match encoding.strip().lower():
            case "gzip" | "x-gzip":
                body = _inflated(body, 16 + zlib.MAX_WBITS, limit)
            case "deflate":
                try:
                    body = _inflated(body, zlib.MAX_WBITS, limit)
                except zlib.error:  # some send it without zlib's frame
                    body = _inflated(body, -zlib.MAX_WBITS, limit)
    return body


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while body:
        member = zlib.decompressobj(window)
        while not member.eof:
            piece = member.decompress(body, _INFLATE_STEP)
            body = member.unconsumed_tail
            size += len(piece)
            if size > limit:
                raise ResponseTooLargeError(f"The response's body is over {limit} bytes once it is decompressed")
            pieces.append(piece)
            if not piece and not body and not member.eof:
                raise zlib.error("incomplete")
        # A gzip body may have several members. What else is behind one is padding, and no part of the body.
        body = member.unused_data if member.unused_data.startswith(_GZIP) else b""
    return b"".join(pieces)
