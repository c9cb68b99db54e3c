"""The service that all functions run. It keeps dummies by id in a file, because a function may have many processes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pip_services4_commons.errors import BadRequestException, NotFoundException

Items = dict[str, dict[str, Any]]


def execute(payload: dict[str, Any]) -> Any:
    """Runs the action with the name `cmd`. Raises exceptions of pip-services."""
    cmd, trace_id = payload.get("cmd"), payload.get("trace_id")
    action = _ACTIONS.get(str(cmd))
    if action is None:
        raise BadRequestException(trace_id, "NO_ACTION", f"There is no action {cmd}")
    path = Path(os.environ["DUMMIES_FILE"])
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        items: Items = json.loads(file.read() or "{}")
        result = action(items, payload)
        file.truncate(0)
        json.dump(items, file)
    return result


def _create(items: Items, payload: dict[str, Any]) -> Any:
    dummy = payload["dummy"]
    items[dummy["id"]] = dummy
    return dummy


def _list(items: Items, payload: dict[str, Any]) -> Any:
    return {"data": list(items.values()), "total": len(items)}


def _get(items: Items, payload: dict[str, Any]) -> Any:
    dummy = items.get(payload["dummy_id"])
    if dummy is None:
        message = f"There is no dummy {payload['dummy_id']}"
        raise NotFoundException(payload.get("trace_id"), "NO_DUMMY", message).with_details("id", payload["dummy_id"])
    return dummy


def _update(items: Items, payload: dict[str, Any]) -> Any:
    _get(items, {**payload, "dummy_id": payload["dummy"]["id"]})
    return _create(items, payload)


def _delete(items: Items, payload: dict[str, Any]) -> Any:
    _get(items, payload)
    return items.pop(payload["dummy_id"])


_ACTIONS: dict[str, Callable[[Items, dict[str, Any]], Any]] = {
    "dummies.create": _create,
    "dummies.list": _list,
    "dummies.get": _get,
    "dummies.update": _update,
    "dummies.delete": _delete,
}
