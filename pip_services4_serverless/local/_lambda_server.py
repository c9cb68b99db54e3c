"""The process that `LambdaHost` starts: ministack on a socket that the host has opened, for as long as the host lives.

Run as a script, so that it needs nothing of this package: `_lambda_server.py SOCKET_FD FOLDER`.
"""

import asyncio
import contextlib
import ctypes
import http.server
import os
import shutil
import signal
import sys
import threading
import time

_PR_SET_CHILD_SUBREAPER = 36


def _end_with_host(folder: str) -> None:
    """Wait until the host closes its end of standard input, or is no more; then leave nothing behind."""
    os.read(0, 1)
    try:
        # A dead process goes away only when its parent looks after it: be the parent of those that handlers started.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        deadline = time.monotonic() + 1
        while (others := _rest_of_group()) and time.monotonic() < deadline:
            for pid in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.002)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.killpg(0, signal.SIGKILL)


def _rest_of_group() -> list[int]:
    """The processes of functions, and those that they started."""
    group = os.getpgrp()
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(ValueError, ProcessLookupError):
            if os.getpgid(int(name)) == group and int(name) != os.getpid():
                found.append(int(name))
    return found


def main(socket_fd: str, folder: str) -> None:
    """Serve ministack until the host ends it."""
    threading.Thread(target=_end_with_host, args=(folder,), daemon=True).start()
    # Without this a function's process waits 40 ms for each event: for a delayed acknowledgement.
    http.server.BaseHTTPRequestHandler.disable_nagle_algorithm = True

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{socket_fd}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config, shutdown_trigger=asyncio.Event().wait))


if __name__ == "__main__":
    main(*sys.argv[1:])
