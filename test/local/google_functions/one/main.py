"""Functions in the style of Google's documentation."""

import logging
import os
import threading

import functions_framework
from flask import Request, abort
from shared import NAME

SECONDS = 5
STARTED = threading.Event()
GO_ON = threading.Event()


@functions_framework.http
def echo(request: Request) -> dict[str, object]:
    logging.getLogger("one").info("echoing")
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode(),
        "json": request.get_json(silent=True),
        "authorization": request.headers.get("authorization"),
        "module": NAME,
    }


def nothing(request: Request) -> tuple[str, int]:
    return "", 204


def breaks(request: Request) -> str:
    raise KeyError("order")


def refuses(request: Request) -> str:
    abort(400, description="no such order")


def waits(request: Request) -> str:
    STARTED.set()
    GO_ON.wait(SECONDS)
    return "done"


def environment(request: Request) -> dict[str, object]:
    return {name: os.environ.get(name) for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")}


NO_FUNCTION = 5
