"""One call as a value: it decides what comes next, and never sends, waits or logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from pip_services4_commons.errors import ApplicationException

from .._tracebacks import hide_failures
from .attempts import Attempts, CallPolicy
from .decoding import decode
from .errors import (
    Failure,
    Provider,
    Retry,
    Target,
    add_call_details,
    call_error,
    failure_of_response,
    failure_without_response,
    is_own,
)
from .payload import encode
from .response import FunctionResponse
from .secrets import mask_bytes, mask_error

__tracebackhide__ = hide_failures

# The beginning of a message whose rest is the text of a library's exception.
_MESSAGES = {
    "CANNOT_CONNECT": "Could not connect",
    "NO_RESPONSE": "The connection was lost before the whole response arrived",
    "DESERIALIZATION_FAILED": "The response cannot be decoded",
    "RESPONSE_TOO_LARGE": "The response is too large",
    "NO_CREDENTIALS": "The credentials could not be loaded",
    "NOT_OPENED": "The client was closed",
    "CALL_FAILED": "The call could not be made",
}


class NoTimeLeftError(TimeoutError):
    """The time of the whole call ended before an attempt began."""


class Call:
    """One call, from its parameters to its result.

    Whoever drives it calls `begin`, makes one attempt in the time that it gives, and says by `received` or `failed`
    how that ended. Both return the seconds to wait before the next attempt, or None when the call has ended; then
    `result` returns its value or raises its error.

    Args:
        cmd: the action.
        trace_id: goes into the payload and into errors.
        params: the action's parameters.
        policy: how often and for how long the call is tried.
        provider: what is special about the provider's answers.
        limit: the most bytes of payload that the provider takes.
        secrets: what no error may show.
        target: what errors say that was called.
        clock: seconds, as `time.monotonic`.

    Raises:
        BadRequestException: `SERIALIZATION_FAILED` or `PAYLOAD_TOO_LARGE`.
    """

    __slots__ = (
        "_attempts",
        "_failure",
        "_handled",
        "_provider",
        "_response",
        "_secrets",
        "_target",
        "_timeout",
        "cmd",
        "payload",
        "trace_id",
    )

    def __init__(
        self,
        cmd: str,
        trace_id: str,
        params: Mapping[str, Any] | None,
        policy: CallPolicy,
        provider: Provider,
        limit: int,
        secrets: Sequence[str],
        target: Target,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.cmd = cmd
        self.trace_id = trace_id
        self._provider = provider
        self._secrets = secrets
        self._target = target
        self._attempts = Attempts(policy, clock)
        self._timeout = 0.0  # seconds of the attempt under way
        self._response: Any = None
        self._failure: Failure | None = None
        self._handled = sys.exception()  # of the caller, whose own it is, though errors here have it as their context
        self.payload = encode(cmd, trace_id, params, limit)

    def begin(self) -> float | None:
        """Begins an attempt; the seconds that it may take, or None when the call has ended for want of time."""
        seconds = self._timeout = self._attempts.next_timeout()
        if seconds > 0:
            return seconds
        self.failed("CALL_TIMEOUT", NoTimeLeftError("options.total_timeout left no time for an attempt"))
        return None

    def received(self, response: FunctionResponse) -> float | None:
        """Takes a whole answer of the far side."""
        if response.function_failed or not 200 <= response.status < 300:
            response = response._replace(body=mask_bytes(response.body, self._secrets))
        failure = failure_of_response(response, self.trace_id, self._provider)
        if failure is None:
            self._response, self._failure = response, None
            return None
        return self._record(failure)

    def failed(self, code: str, cause: Exception) -> float | None:
        """Takes an attempt without a whole answer: the code of its error, and what was raised."""
        mask_error(cause, self._secrets, self._handled)  # before its text is cut, perhaps within a key
        failure = failure_without_response(code, self.trace_id, self._message(code, cause), cause)
        if self._failure and failure.retry is Retry.ALWAYS and self._attempts.is_over():
            return None  # nothing was sent for want of time: how the attempt before failed says more
        return self._record(failure)

    def _message(self, code: str, cause: Exception) -> str:
        if code == "CALL_TIMEOUT" and self._timeout > 0:
            return f"The response did not arrive within {round(self._timeout, 3):g} s"
        if is_own(cause) and code != "NOT_OPENED":
            return str(cause)
        return _MESSAGES[code]

    def _record(self, failure: Failure) -> float | None:
        self._failure = failure
        return self._attempts.wait_after(failure)

    @property
    def code(self) -> str:
        """The code of the error with which the last attempt ended."""
        return str(self._failure.error.code) if self._failure else ""

    def result(self) -> Any:
        """The decoded value.

        Raises:
            ApplicationException: how the last attempt failed, or `DESERIALIZATION_FAILED`.
        """
        failure, self._failure = self._failure, None
        try:
            if failure is None:
                return decode(self._response, self.trace_id)
            raise failure.error from failure.cause
        except ApplicationException as err:
            add_call_details(failure or Failure(err, Retry.NEVER), self._target, self.cmd, self._attempts.made)
            # The one place where an error leaves: the far side may have repeated the key in any part of its answer.
            mask_error(err, self._secrets, self._handled)
            raise
        finally:
            del failure  # the error's traceback holds this frame: only the garbage collector would free them

    def closed(self, client: str) -> ApplicationException:
        """The error of a call whose client was closed while it waited for its next attempt."""
        message = f"{client} was closed while {self.cmd} was waiting for its next attempt"
        error = call_error("NOT_OPENED", self.trace_id, message, cmd=self.cmd)
        error.__cause__ = self._failure.error if self._failure else None
        return error
