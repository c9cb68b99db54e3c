"""The process of a function: the real awslambdaric, which also tells `LambdaHost` of its executions and logs.

Run as a script, so that it needs nothing of this package: `_lambda_worker.py FILE`. The file is JSON:
`[CHANNEL, KEY, FOLDER, HANDLER]`. A message to the host is a line `KEY:PID KIND TEXT` in the named pipe CHANNEL: kind
R is an execution, L a line of log, and + a piece of one that goes on.
"""

import contextlib
import json
import os
import runpy
import select
import sys
from pathlib import Path
from typing import Any, NoReturn, TextIO


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


class _Tee:
    """Standard output or error, of which every whole line goes to the host too."""

    def __init__(self, stream: TextIO, channel: _Channel) -> None:
        self._stream = stream
        self._channel = channel
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._channel.send("L", line)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main(file: str) -> None:
    """Run the handler as `python -m awslambdaric HANDLER` in its folder does."""
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
    from awslambdaric.lambda_runtime_marshaller import to_json

    path, key, folder, handler = json.loads(Path(file).read_text())
    channel = _Channel(path, key)
    output = sys.stdout
    sys.stdout = _Tee(sys.stdout, channel)
    sys.stderr = _Tee(sys.stderr, channel)
    next_invocation = LambdaRuntimeClient.wait_next_invocation

    def count(client: Any) -> Any:
        request = next_invocation(client)
        channel.send("R")
        # As on AWS; and ministack waits 50 ms longer for a function that prints nothing.
        output.write(f"START RequestId: {request.invoke_id} Version: {os.environ['AWS_LAMBDA_FUNCTION_VERSION']}\n")
        output.flush()
        return request

    def answer_init_error(client: Any, error: Any, *_: Any) -> NoReturn:
        """Answer as AWS does: ministack would wrap an error in loading in one of its own."""
        request = next_invocation(client)
        client.post_invocation_error(request.invoke_id, to_json(error), "")
        sys.exit(1)

    LambdaRuntimeClient.wait_next_invocation = count
    LambdaRuntimeClient.post_init_error = answer_init_error
    os.environ["LAMBDA_TASK_ROOT"] = folder
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv[1:] = [handler]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
