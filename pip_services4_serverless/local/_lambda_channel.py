"""The named pipe with which the processes of functions report invocations and logs to their host."""

import os
import select
import threading
from collections.abc import Callable


class Channel:
    """Reads the messages that `_lambda_worker.py` sends, in a thread, and when `read` is called.

    In a named pipe, messages stay in order, are not lost if the writer crashes, and can be read as soon as the write
    has returned. So when a response has arrived, `read` reads all messages that were sent before it.
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
        """Reads the messages that have arrived, and calls `receive` for each."""
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

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits until messages have made the condition true. Returns False after a timeout."""
        self.read()  # on a busy machine, the thread may not have read what was sent before
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def close(self) -> None:
        """Ends the thread and closes the pipe."""
        self._closing = True
        os.write(self._writer, b"\n")
        self._thread.join()
        os.close(self._writer)
        os.close(self._reader)
