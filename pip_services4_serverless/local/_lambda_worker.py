"""The process of a function. It runs AWS's awslambdaric, and reports invocations and logs to `LambdaHost`.

It runs as a script, so that it does not import this package: `_lambda_worker.py FILE`. The file contains a JSON array
`[CHANNEL, KEY, FOLDER, HANDLER, CHECK]`. An event that contains the text CHECK does not call the handler; its response
shows whether the handler can be imported. A message to the host is a line `KEY:PID KIND TEXT` in the named pipe
CHANNEL. The kind R is an invocation, L a line of the log, and + a part of a line that is continued in the next message.
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
    """Sends messages to the host. They do not mix with those of other processes, and are not lost in a crash."""

    def __init__(self, path: str, key: int) -> None:
        self._pipe = os.open(path, os.O_WRONLY)
        self._sender = f"{key}:{os.getpid()}"

    def send(self, kind: str, text: str = "") -> None:
        limit = (select.PIPE_BUF - 40) // 4  # characters of at most 4 bytes. Longer writes are not atomic
        with contextlib.suppress(BrokenPipeError):  # the host has ended
            while len(text) > limit:
                self._write("+", text[:limit])
                text = text[limit:]
            self._write(kind, text)

    def _write(self, kind: str, text: str) -> None:
        os.write(self._pipe, f"{self._sender} {kind} {text}\n".encode("utf-8", "replace"))


class _Output:
    """Starts a process that forwards standard output and error to ministack, and reports them to the host.

    It is a process, so that no output is lost if this process crashes, or if C code or a child process writes.
    """

    def __init__(self, path: str, key: int) -> None:
        reader, writer = os.pipe()
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = os.pidfd_open(os.getpid())
        if not (child := os.fork()):
            os.setsid()  # because a handler may kill its process group
            try:
                # The handler may wait for all of its child processes, so this must not be one: the parent of the second
                # fork ends, and the server becomes the parent.
                if not os.fork():
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
        """Waits until all output has reached the host. `line` is added to the output, but only ministack gets it."""
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):  # the handler may have replaced the streams
                stream.flush()  # type: ignore[union-attr]
        with contextlib.suppress(OSError):  # that process has ended: the handler has closed both descriptors
            self._control.send(f"{line}\n".encode())
            self._control.recv(1)


def _forward(reader: int, control: socket.socket, worker: int, channel: _Channel) -> None:
    """Forwards output to ministack and to the host, until all processes that write it have ended."""
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
            chunk = os.read(reader, 1 << 20)  # reads everything, because a pipe contains less
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
            with contextlib.suppress(OSError):  # the worker has ended
                line = control.recv(4096)
                if line != b"\n":
                    _write(ministack, line)
                control.send(b".")
            if not line:
                poll.unregister(control)
        if worker in ready:
            send_rest()
            poll.unregister(worker)
            # ministack waits for the end of the output. It must not wait for processes that the handler has started.
            os.dup2(os.open(os.devnull, os.O_WRONLY), ministack)


def _write(descriptor: int, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # ministack has ended
        os.write(descriptor, content)


def main(file: str) -> None:
    """Runs the handler as `python -m awslambdaric HANDLER` does in the handler's folder."""
    path, key, folder, handler, check = json.loads(Path(file).read_text())
    output = _Output(path, key)  # before anything can start threads, because it forks
    channel = _Channel(path, key)

    from awslambdaric.bootstrap import StandardLogSink
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
    from awslambdaric.lambda_runtime_marshaller import to_json

    next_invocation = LambdaRuntimeClient.wait_next_invocation

    def next_counted_invocation(client: Any) -> Any:
        request = next_invocation(client)
        while len(request.event_body) < 2 * len(check) and check.encode() in request.event_body:
            client.post_invocation_result(request.invoke_id, "null")
            request = next_invocation(client)
        # AWS prints this line too. ministack waits 50 ms longer if a function prints nothing.
        output.sync(f"START RequestId: {request.invoke_id} Version: {os.environ['AWS_LAMBDA_FUNCTION_VERSION']}")
        channel.send("R")
        return request

    def after_output(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            output.sync()
            return method(*arguments, **options)

        return wrapper

    def report_init_error(client: Any, error: Any, *_: Any) -> NoReturn:
        """Responds as AWS does. Otherwise ministack would wrap the error in one of its own."""
        request = next_invocation(client)
        client.post_invocation_error(request.invoke_id, to_json(error), "")
        sys.exit(1)

    LambdaRuntimeClient.wait_next_invocation = next_counted_invocation
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
