"""The value of an answer that is not an error."""

from __future__ import annotations

import json
from typing import Any

from .._tracebacks import hide_failures
from .errors import call_error
from .response import FunctionResponse

__tracebackhide__ = hide_failures

_NO_JSON = (b"NaN", b"Infinity", b"-Infinity")  # whatever Python makes of them


def decode(response: FunctionResponse, trace_id: str) -> Any:
    """The value of an answer that is no error.

    Raises:
        InvocationException: `DESERIALIZATION_FAILED`
    """
    body = response.body
    if response.status == 204 or not body:
        return None
    try:
        if body in _NO_JSON:
            raise ValueError("JSON has no NaN and no Infinity")
        try:
            return json.loads(body.decode())
        except ValueError:  # UTF-16, perhaps: of bytes, `json.loads` finds out the encoding, which takes longer
            return json.loads(body)
    except (ValueError, RecursionError) as err:  # UnicodeDecodeError is a ValueError
        content_type = response.headers.get("content-type") or ""
        if content_type.partition(";")[0].strip().lower() == "text/plain":
            try:
                return body.decode(_charset(content_type))
            except (ValueError, LookupError):  # not in this character set, or no such set
                pass
        message = f"The response is not valid JSON: {len(body)} bytes" + (f" of {content_type}" if content_type else "")
        raise call_error("DESERIALIZATION_FAILED", trace_id, message) from err


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
