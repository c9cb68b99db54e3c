"""The payload: one JSON object with the caller's parameters, `cmd` and `trace_id`."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

from .._tracebacks import hide_failures
from .errors import call_error
from .interrupts import is_interrupt

__tracebackhide__ = hide_failures


def encode(cmd: str, trace_id: str, params: Mapping[str, Any] | None, limit: int) -> bytes:
    """Encodes the payload in UTF-8. The caller's parameters are neither changed nor deep-copied.

    Raises:
        BadRequestException: `SERIALIZATION_FAILED`, naming the parameter, or `PAYLOAD_TOO_LARGE` over `limit` bytes.
    """
    if params is None:
        params = {}
    elif not isinstance(params, (dict, Mapping)):  # the check for `dict` is faster
        message = f"The parameters must be a dict, not {type(params).__name__}"
        raise call_error("SERIALIZATION_FAILED", trace_id, message)
    try:
        payload = _to_bytes({**params, "cmd": cmd, "trace_id": trace_id})
    except Exception as err:  # `to_json` and `to_dict` may raise any class
        if is_interrupt(err):
            raise
        name = _unserializable_parameter(params)
        reason = _reason(err)
        message = (
            f"Parameter {name!r} cannot be sent as JSON: {reason}"
            if name
            else f"The parameters cannot be sent as JSON: {reason}"
        )
        raise call_error("SERIALIZATION_FAILED", trace_id, message, parameter=name, command=cmd) from err
    if len(payload) > limit:
        message = f"The payload is {len(payload)} bytes; the limit is {limit} bytes"
        raise call_error("PAYLOAD_TOO_LARGE", trace_id, message, size=len(payload), limit=limit, command=cmd)
    return payload


def _reason(err: Exception) -> str:
    """The text of an exception, or its class if it has no text."""
    try:
        return str(err) or type(err).__name__
    except Exception as error:  # the caller's class may have a wrong `__str__`
        if is_interrupt(error):
            raise
        return type(err).__name__


def _to_bytes(value: Any) -> bytes:
    text = _encoder.encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate cannot be encoded in UTF-8, but can be written as a JSON escape
        return json.JSONEncoder(default=_plain, allow_nan=False).encode(value).encode()


def _unserializable_parameter(params: Mapping[str, Any]) -> str | None:
    """The name of the first parameter that cannot be serialized, or None."""
    name = None
    try:
        for name in params:
            _to_bytes({name: params[name]})
    except Exception as err:
        if is_interrupt(err):
            raise
        return None if name is None else str(name)
    return None


def _plain(value: Any) -> Any:
    """Converts one object to a simpler one. The encoder calls it again for nested objects."""
    # Imported late: most parameters need none of it, and the imports would slow down every start.
    import base64
    import dataclasses
    from uuid import UUID

    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return list(value)
    if not isinstance(value, _CODE):
        for method in ("to_json", "to_dict"):
            if callable(getattr(value, method, None)):
                data = getattr(value, method)()
                mock = sys.modules.get("unittest.mock")
                if mock and isinstance(data, mock.NonCallableMock):  # whose `to_json` returns another mock, and so on
                    raise TypeError(f"{type(value).__name__} is not JSON serializable")
                return data
        if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if hasattr(value, "__dict__"):
            return {k: v for k, v in vars(value).items() if not (k.startswith("__") and k.endswith("__"))}
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


# Objects of these types have a `__dict__`, but it contains code and not data.
_CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_encoder = json.JSONEncoder(default=_plain, allow_nan=False, ensure_ascii=False)
