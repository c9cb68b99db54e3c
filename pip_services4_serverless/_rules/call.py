"""One call, as an object that decides what happens next. It does not send, wait or log."""

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
from .secrets import MAX_LENGTH, clear_locals, mask_error, mask_error_body

__tracebackhide__ = hide_failures

# The beginning of the message, by the error's code. The text of a library's exception follows.
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
    """`total_timeout` ended before an attempt began."""


class Call:
    """One call, from its parameters to its result.

    Its driver calls `begin`, makes one attempt within the returned time, and reports the outcome with `received` or
    `failed`. Both return the seconds to wait before the next attempt, or None if the call has ended. Then `result`
    returns the call's value or raises its error.

    Args:
        cmd: the action.
        trace_id: sent in the payload, and contained in errors.
        params: the action's parameters.
        policy: the timeouts and the retries.
        provider: classifies the provider's own errors.
        limit: the maximum size of the payload, in bytes.
        secrets: the values that are masked in errors.
        target: the function that is called, for errors.
        clock: returns a time in seconds, like `time.monotonic`.

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
        self._timeout = 0.0  # of the current attempt, in seconds
        self._response: Any = None
        self._failure: Failure | None = None
        # The exception that the caller is handling. It becomes a `__context__` of errors, but is not masked.
        self._handled = sys.exception()
        self.payload = encode(cmd, trace_id, params, limit)

    def begin(self) -> float | None:
        """Begins an attempt. Returns its timeout in seconds, or None if `total_timeout` has ended the call."""
        seconds = self._timeout = self._attempts.next_timeout()
        if seconds > 0:
            return seconds
        if self._failure is None:
            self.failed("CALL_TIMEOUT", NoTimeLeftError("options.total_timeout left no time for an attempt"))
        else:
            self._attempts.made -= 1  # the wait took too long: the call ends with the previous failure
        return None

    def received(self, response: FunctionResponse) -> float | None:
        """Reports the response to an attempt.

        Returns:
            The seconds to wait before the next attempt, or None if the call has ended.
        """
        length = len(response.body)
        if response.function_failed or not 200 <= response.status < 300:
            response = response._replace(body=mask_error_body(response.body, self._secrets))
        failure = failure_of_response(response, self.trace_id, self._provider)
        if failure is None:
            self._response, self._failure = response, None
            return None
        if length > MAX_LENGTH and failure.retry in (Retry.ALWAYS, Retry.NEW_TOKEN):
            # Only a part of the body was examined. The whole body may be a pip-services error: then the function ran.
            failure = failure._replace(retry=Retry.IF_IDEMPOTENT)
        return self._record(failure)

    def failed(self, code: str, cause: Exception) -> float | None:
        """Reports an attempt that received no whole response: the code of the error, and the exception.

        Returns:
            The seconds to wait before the next attempt, or None if the call has ended.
        """
        clear_locals(cause, self._handled)
        # Masked before the text is shortened, because a part of a secret would not be recognized.
        mask_error(cause, self._secrets, self._handled)
        failure = failure_without_response(code, self.trace_id, self._message(code, cause), cause)
        if self._failure and failure.retry is Retry.ALWAYS and self._attempts.is_over():
            return None  # there was no time to send anything, so the call ends with the previous failure
        return self._record(failure)

    def aborted(self, err: BaseException) -> None:
        """Reports an exception that is not a failure and is raised unchanged, for example a cancellation."""
        clear_locals(err, self._handled)

    def _message(self, code: str, cause: Exception) -> str:
        if code == "CALL_TIMEOUT" and self._timeout > 0:
            return f"The response did not arrive within {round(self._timeout, 3):g} s"
        if is_own(cause):
            return str(cause)
        return _MESSAGES[code]

    def _record(self, failure: Failure) -> float | None:
        self._failure = failure
        return self._attempts.wait_after(failure)

    @property
    def code(self) -> str:
        """The error code of the last attempt, or an empty string."""
        return str(self._failure.error.code) if self._failure else ""

    def result(self) -> Any:
        """Returns the decoded response, or raises the error of the call.

        Raises:
            ApplicationException: the error of the last attempt, or `DESERIALIZATION_FAILED`.
        """
        failure, self._failure = self._failure, None
        try:
            if failure is None:
                return decode(self._response, self.trace_id)
            raise failure.error from failure.cause
        except ApplicationException as err:
            add_call_details(failure or Failure(err, Retry.NEVER), self._target, self.cmd, self._attempts.made)
            # Every error of an attempt is raised here. A server may repeat the key in any part of its response.
            mask_error(err, self._secrets, self._handled)
            raise
        finally:
            del failure  # it refers to the error, whose traceback refers to this frame: a reference cycle

    def closed_error(self, client: str) -> ApplicationException:
        """The error of a call if its client was closed between two attempts."""
        message = f"{client} was closed while {self.cmd} was waiting for its next attempt"
        error = call_error("NOT_OPENED", self.trace_id, message, command=self.cmd)
        error.__cause__ = self._failure.error if self._failure else None
        mask_error(error, self._secrets, self._handled)  # for example, a header of the response may contain the key
        return error
