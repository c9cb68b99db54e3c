"""The process that `LambdaHost` starts. It runs ministack on a socket of the host, until the host stops or ends.

It runs as a script, so that it does not import this package: `_lambda_server.py SOCKET_FD FOLDER HOST_PID`. It forks:
the child runs ministack, and the parent waits for the end of the host, and then ends all processes.
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
    """Serves until the host ends or sends a byte to standard input. Then ends all processes and removes the folder."""
    host = os.pidfd_open(int(host_pid))  # a forked child of the host may keep standard input open for longer
    if os.getppid() != int(host_pid):
        return 1
    # If the parent of a process ends, the process becomes a child of this one. So `_descendants` finds all processes,
    # even those in another session.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not (server := os.fork()):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        _serve(int(socket_fd))
    os.close(int(socket_fd))
    poll = select.poll()
    for descriptor in (sys.stdin.fileno(), host, serving := os.pidfd_open(server)):
        poll.register(descriptor, select.POLLIN)
    while not (ended := poll.poll(_REAP_MILLISECONDS)):
        _reap()
    _end_descendants()
    if serving in dict(ended):
        return 1  # the host reports the reason, from ministack's log in the folder
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _serve(socket_fd: int) -> None:
    import asyncio
    import http.server

    # Otherwise the process of a function waits 40 ms for each event, because of a delayed acknowledgement.
    http.server.BaseHTTPRequestHandler.disable_nagle_algorithm = True

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{socket_fd}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config, shutdown_trigger=asyncio.Event().wait))


def _reap() -> None:
    """Reaps the child processes that have ended, which otherwise stay as zombies."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end_descendants() -> None:
    deadline = time.monotonic() + 1
    while (pids := _descendants()) and time.monotonic() < deadline:
        for pid in reversed(pids):  # ministack last: without it, a function would log that it got no next invocation
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.002)


def _descendants() -> list[int]:
    """The processes of ministack and of the functions, and those that they started. Parents come before children."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            parent = file.read().rpartition(")")[2].split()[1]  # the name, which comes before, may contain anything
            children.setdefault(int(parent), []).append(int(name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
