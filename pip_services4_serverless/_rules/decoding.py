"""Decodes a successful response."""

from __future__ import annotations

import json
from typing import Any

from .._tracebacks import hide_failures
from .errors import call_error
from .response import FunctionResponse

__tracebackhide__ = hide_failures

_NO_JSON = (b"NaN", b"Infinity", b"-Infinity")  # `json.loads` accepts them, JSON does not


def decode(response: FunctionResponse, trace_id: str) -> Any:
    """The value of a successful response: None for an empty body, a `str` for plain text, else the decoded JSON.

    Raises:
        InvocationException: `DESERIALIZATION_FAILED`.
    """
    body = response.body
    if response.status == 204 or not body:
        return None
    try:
        if body in _NO_JSON:
            raise ValueError("JSON has no NaN and no Infinity")
        try:
            return json.loads(body.decode())
        except ValueError:  # perhaps UTF-16: `json.loads` detects the encoding of bytes, more slowly
            return json.loads(body)
    except (ValueError, RecursionError) as err:  # UnicodeDecodeError is a ValueError
        content_type = response.headers.get("content-type") or ""
        if content_type.partition(";")[0].strip().lower() == "text/plain":
            try:
                return body.decode(_charset(content_type))
            except (ValueError, LookupError):  # not valid in this character set, or an unknown one
                pass
        message = f"The response is not valid JSON: {len(body)} bytes" + (f" of {content_type}" if content_type else "")
        raise call_error("DESERIALIZATION_FAILED", trace_id, message) from err


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
