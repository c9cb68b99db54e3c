"""The named pipe by which the functions' processes report executions and logs to their host."""

import os
import select
import threading
from collections.abc import Callable


class Channel:
    """Reads the messages that `_lambda_worker.py` sends, in a thread of its own and whenever asked to.

    A named pipe, because what was written to it is not lost when the writer crashes, is in order, and is there to
    be read before the writer goes on: after a response has arrived, `read` finds every message sent before it.
    """

    def __init__(self, path: str, receive: Callable[[int, str, str], None]) -> None:
        self._receive = receive
        self._unread = b""
        self._chunks: dict[str, str] = {}
        self._closing = False
        self._changed = threading.Condition()
        os.mkfifo(path, 0o600)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = os.open(path, os.O_WRONLY)  # keeps the pipe open while no function runs
        self._thread = threading.Thread(target=self._listen, name="lambda-host", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while not self._closing:
            poll.poll()
            self.read()

    def read(self) -> None:
        """Hand over the messages that have come."""
        with self._changed:
            try:
                while chunk := os.read(self._reader, 65536):
                    *lines, self._unread = (self._unread + chunk).split(b"\n")
                    for line in filter(None, lines):
                        sender, kind, text = line.decode("utf-8", "replace").split(" ", 2)
                        text = self._chunks.pop(sender, "") + text
                        if kind == "+":
                            self._chunks[sender] = text
                        else:
                            self._receive(int(sender.partition(":")[0]), kind, text)
            except BlockingIOError:
                self._changed.notify_all()

    def wait_for(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until messages have made it true; False when they have not in time."""
        with self._changed:
            return self._changed.wait_for(true, seconds)

    def close(self) -> None:
        """End the thread and the pipe."""
        self._closing = True
        os.write(self._writer, b"\n")
        self._thread.join()
        os.close(self._writer)
        os.close(self._reader)
