"""The process of a function: the real awslambdaric, which also reports its executions and logs to `LambdaHost`.

Run as a script, so that it needs nothing of this package: `_lambda_worker.py FILE`. The file is JSON:
`[CHANNEL, KEY, FOLDER, HANDLER, CHECK]`. An event that has the text CHECK only asks whether the handler can be
imported. A message to the host is a line `KEY:PID KIND TEXT` in the named pipe CHANNEL: kind
R is an execution, L a line of log, and + a piece of one that goes on.
"""

import contextlib
import json
import os
import runpy
import select
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


class _Channel:
    """Sends messages that stay whole beside those of other processes, and stay sent when this one crashes."""

    def __init__(self, path: str, key: int) -> None:
        self._pipe = os.open(path, os.O_WRONLY)
        self._sender = f"{key}:{os.getpid()}"

    def send(self, kind: str, text: str = "") -> None:
        most = (select.PIPE_BUF - 40) // 4  # characters, of 4 bytes at most: a longer write is not atomic
        with contextlib.suppress(BrokenPipeError):  # the host has gone
            while len(text) > most:
                self._write("+", text[:most])
                text = text[most:]
            self._write(kind, text)

    def _write(self, kind: str, text: str) -> None:
        os.write(self._pipe, f"{self._sender} {kind} {text}\n".encode("utf-8", "replace"))


class _Output:
    """Passes standard output and error through a process that also reports them to the host.

    A process, so that nothing is lost however this one ends, and whoever writes: Python, C code, a child.
    """

    def __init__(self, path: str, key: int) -> None:
        reader, writer = os.pipe()
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = os.pidfd_open(os.getpid())
        if not (child := os.fork()):
            os.setsid()  # a handler may end its process group
            try:
                if not os.fork():  # and may wait for all of its children: this one becomes the server's
                    os.close(writer)
                    os.close(sys.stderr.fileno())
                    self._control.close()
                    _forward(reader, control, worker, _Channel(path, key))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
            os.dup2(writer, descriptor)
        for descriptor in (reader, writer, worker):
            os.close(descriptor)
        control.close()

    def sync(self, line: str = "") -> None:
        """Return when all that was written has reached the host, as whole lines; a line given is for ministack only."""
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):  # the handler may have put anything in their places
                stream.flush()  # type: ignore[union-attr]
        with contextlib.suppress(OSError):  # the process has gone: both descriptors were closed
            self._control.send(f"{line}\n".encode())
            self._control.recv(1)


def _forward(reader: int, control: socket.socket, worker: int, channel: _Channel) -> None:
    """Forwards output to ministack and to the host, until all writers have ended."""
    ministack = sys.stdout.fileno()
    rest = b""

    def send_rest() -> None:
        nonlocal rest
        if rest:
            channel.send("L", rest.decode("utf-8", "replace"))
            _write(ministack, b"\n")
        rest = b""

    os.set_blocking(reader, False)
    poll = select.poll()
    for file in (reader, control, worker):
        poll.register(file, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        try:
            chunk = os.read(reader, 1 << 20)  # all there is: a pipe holds less
        except BlockingIOError:
            pass
        else:
            if not chunk:
                return send_rest()
            _write(ministack, chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                channel.send("L", line.decode("utf-8", "replace"))
        if control.fileno() in ready:
            send_rest()
            line = b""
            with contextlib.suppress(OSError):  # it has died meanwhile
                line = control.recv(4096)
                if line != b"\n":
                    _write(ministack, line)
                control.send(b".")
            if not line:
                poll.unregister(control)
        if worker in ready:
            send_rest()
            poll.unregister(worker)
            # ministack, which waits for the end of the output, need not wait for what the handler has started.
            os.dup2(os.open(os.devnull, os.O_WRONLY), ministack)


def _write(descriptor: int, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # ministack has gone
        os.write(descriptor, content)


def main(file: str) -> None:
    """Run the handler as `python -m awslambdaric HANDLER` in its folder does."""
    path, key, folder, handler, check = json.loads(Path(file).read_text())
    output = _Output(path, key)  # it forks, so it goes before what may start threads
    channel = _Channel(path, key)

    from awslambdaric.bootstrap import StandardLogSink
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
    from awslambdaric.lambda_runtime_marshaller import to_json

    next_invocation = LambdaRuntimeClient.wait_next_invocation

    def count(client: Any) -> Any:
        request = next_invocation(client)
        while len(request.event_body) < 2 * len(check) and check.encode() in request.event_body:
            client.post_invocation_result(request.invoke_id, "null")
            request = next_invocation(client)
        # As on AWS; and ministack waits 50 ms longer for a function that prints nothing.
        output.sync(f"START RequestId: {request.invoke_id} Version: {os.environ['AWS_LAMBDA_FUNCTION_VERSION']}")
        channel.send("R")
        return request

    def after_output(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            output.sync()
            return method(*arguments, **options)

        return wrapper

    def report_init_error(client: Any, error: Any, *_: Any) -> NoReturn:
        """Answer as AWS does: ministack would wrap an error in loading in one of its own."""
        request = next_invocation(client)
        client.post_invocation_error(request.invoke_id, to_json(error), "")
        sys.exit(1)

    LambdaRuntimeClient.wait_next_invocation = count
    LambdaRuntimeClient.post_init_error = report_init_error
    StandardLogSink.log = after_output(StandardLogSink.log)
    StandardLogSink.log_error = after_output(StandardLogSink.log_error)
    LambdaRuntimeClient.post_invocation_result = after_output(LambdaRuntimeClient.post_invocation_result)
    LambdaRuntimeClient.post_invocation_error = after_output(LambdaRuntimeClient.post_invocation_error)
    os.environ["LAMBDA_TASK_ROOT"] = folder
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv[1:] = [handler]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
