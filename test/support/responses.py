"""Valid responses in every framing, as bytes. Tests truncate, split and extend them."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import NamedTuple

from .fault_server import response_bytes

BODY = json.dumps({"id": "1", "text": "x" * 20, "end": "\r\n"}).encode()


class Sample(NamedTuple):
    """A response, the length of its head, and its decoded body."""

    name: str
    data: bytes
    head: int  # bytes
    body: bytes
    status: int = 200


def _sample(name: str, content: bytes, body: bytes = BODY, status: int = 200, **of: object) -> Sample:
    head, sent = response_bytes(status, content, **of)  # type: ignore[arg-type]
    return Sample(name, head + sent, len(head), body, status)


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _without_length(sample: Sample) -> Sample:
    """The same response without a length. Its body ends with the connection."""
    head = sample.data[: sample.head].replace(b"Content-Length: %d\r\n" % len(BODY), b"")
    return Sample("close-delimited", head + BODY, len(head), BODY)


_GZIP = gzip.compress(BODY, mtime=0)
_TWO_MEMBERS = gzip.compress(BODY[:9], mtime=0) + gzip.compress(BODY[9:], mtime=0)
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
_BY_LENGTH = _sample("length", BODY)
_CHUNKED = _sample("chunked", BODY, chunk_size=7)

FRAMED: tuple[Sample, ...] = (
    _BY_LENGTH,
    _CHUNKED,
    _sample("gzip", _GZIP, headers={"Content-Encoding": "gzip"}),
    _sample("gzip chunked", _GZIP, headers={"Content-Encoding": "gzip"}, chunk_size=5),
    _sample("gzip of two members", _TWO_MEMBERS, headers={"Content-Encoding": "gzip"}),
    _sample("deflate", zlib.compress(BODY), headers={"Content-Encoding": "deflate"}),
    _sample("raw deflate", _raw_deflate(BODY), headers={"Content-Encoding": "deflate"}, chunk_size=11),
    _sample("empty", b"", b""),
    _sample("no content", b"", b"", 204),
    _BY_LENGTH._replace(
        name="after interim ones", data=_INTERIM + _BY_LENGTH.data, head=len(_INTERIM) + _BY_LENGTH.head
    ),
    _CHUNKED._replace(
        name="extensions and trailers",
        data=_CHUNKED.data.replace(b"\r\n0\r\n", b"\r\n0;last=1\r\nX-Trailer: 1\r\n").replace(
            b"\r\n7\r\n", b"\r\n7;a=b\r\n"
        ),
    ),
)
CLOSE_DELIMITED = _without_length(_BY_LENGTH)
ALL = (*FRAMED, CLOSE_DELIMITED)
ERRORS: tuple[Sample, ...] = (
    _sample("error by length", BODY, status=404),
    _sample("error chunked", BODY, status=500, chunk_size=7),
    _sample("error gzip", _GZIP, status=500, headers={"Content-Encoding": "gzip"}),
)
