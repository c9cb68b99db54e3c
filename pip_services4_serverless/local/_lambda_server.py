"""The process that `LambdaHost` starts: ministack on a socket that the host has opened, for as long as the host lives.

Run as a script, so that it needs nothing of this package: `_lambda_server.py SOCKET_FD FOLDER HOST_PID`. It is two
processes: one serves, the other watches, and ends all that the handlers have started.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_REAP_MILLISECONDS = 1000


def main(socket_fd: str, folder: str, host_pid: str) -> int:
    """Serves until the host sends a byte on standard input or ends; then removes all it has started."""
    host = os.pidfd_open(int(host_pid))  # a child that the host forked may hold standard input open for longer
    if os.getppid() != int(host_pid):
        return 1
    # Processes whose parent ends become children of this one, so that each is found, also in a session of its own.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not (server := os.fork()):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        _serve(int(socket_fd))
    os.close(int(socket_fd))
    ends = select.poll()
    for descriptor in (sys.stdin.fileno(), host, died := os.pidfd_open(server)):
        ends.register(descriptor, select.POLLIN)
    while not (ended := ends.poll(_REAP_MILLISECONDS)):
        _reap()
    _end_descendants()
    if died in dict(ended):
        return 1  # the host reports the reason, from ministack's log in the folder
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _serve(socket_fd: int) -> None:
    import asyncio
    import http.server

    # Without this a function's process waits 40 ms for each event: for a delayed acknowledgement.
    http.server.BaseHTTPRequestHandler.disable_nagle_algorithm = True

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{socket_fd}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config, shutdown_trigger=asyncio.Event().wait))


def _reap() -> None:
    """A dead process goes away only when its parent looks after it."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end_descendants() -> None:
    deadline = time.monotonic() + 1
    while (others := _descendants()) and time.monotonic() < deadline:
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.002)


def _descendants() -> list[int]:
    """ministack, the processes of functions, and those that they started."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            parent = file.read().rpartition(")")[2].split()[1]  # the name before it may hold anything
            children.setdefault(int(parent), []).append(int(name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
