"""Decodes a successful response."""

from __future__ import annotations

import json
from typing import Any

from .._tracebacks import hide_failures
from .errors import call_error
from .response import FunctionResponse

__tracebackhide__ = hide_failures

_decoder = json.JSONDecoder()
_NOT_JSON = (b"NaN", b"Infinity", b"-Infinity")  # `json.loads` accepts them, but they are not valid JSON


def decode(response: FunctionResponse, trace_id: str) -> Any:
    """The value of a successful response: None for an empty body, a `str` for plain text, else the decoded JSON.

    Raises:
        InvocationException: `DESERIALIZATION_FAILED`.
    """
    body = response.body
    if response.status == 204 or not body:
        return None
    try:
        if body in _NOT_JSON:
            raise ValueError("NaN and Infinity are not valid JSON")
        try:
            return _decoder.decode(body.decode())
        except ValueError:  # perhaps the body is UTF-16: with bytes, `json.loads` detects the encoding, but is slower
            return json.loads(body)
    except (ValueError, RecursionError) as err:  # UnicodeDecodeError is a ValueError
        content_type = response.headers.get("content-type") or ""
        if content_type.partition(";")[0].strip().lower() == "text/plain":
            try:
                return body.decode(_charset(content_type))
            except (ValueError, LookupError):  # the body is not valid in this charset, or the charset is unknown
                pass
        message = f"The response is not valid JSON: {len(body)} bytes" + (f" of {content_type}" if content_type else "")
        raise call_error("DESERIALIZATION_FAILED", trace_id, message) from err


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
