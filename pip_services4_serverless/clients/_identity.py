"""Tokens of the platform's identity, which are sent as `Authorization: Bearer`.

This module is imported when a client with `credential.identity` opens. The libraries that fetch tokens have their own
timeouts. They run in a separate thread, for which each call waits within the call's own timeout. There is no shared
lock that an interrupt or a fork could leave locked.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections.abc import Callable, Iterable, MutableMapping
from threading import Lock
from time import monotonic, time
from typing import Any, NamedTuple, NoReturn, Self

from .._context import CallContext
from .._rules.errors import rejects_token
from .._rules.interrupts import is_interrupt
from .._rules.response import FunctionResponse
from .._rules.secrets import Secrets, mask_error, mask_text
from .._wire.errors import PoolClosedError
from ..connect._config_errors import config_error
from ..connect._connection_params import HEADER_SAFE
from ._async_closing import AsyncClosing
from ._closing import Closing
from ._failures import NoTokenError
from ._http_function_client import Secret
from ._log_filter import find_tokens, mask_in_logs

# Seconds before a token expires in which it is renewed. Not earlier, because Google's metadata server and Azure's
# libraries return the same token again until 4 and 5 minutes before it expires.
_RENEW_BEFORE_EXPIRY = 225.0
_RETRY_DELAY = 10.0  # seconds between a failed renewal and the next one, while the token is still valid
_RENEWAL_TIMEOUT = 60.0  # seconds after which a renewal is abandoned and another one may start
_MIN_REPLACEMENT_INTERVAL = 60.0  # seconds in which the replacement of a rejected token is not replaced again


class Token(NamedTuple):
    """A token and the data for its renewal. Times are in seconds since the epoch."""

    header: str  # the value of `Authorization`
    expires_at: float
    renew_at: float  # 0 if the token was rejected
    fetched_at: float
    number: int  # the first token of a client has number 1
    replaces_rejected: bool  # whether the previous token was rejected


class _Renewal:
    """One renewal of a token. All threads and tasks that need the token wait for the same renewal."""

    __slots__ = ("began", "claim", "ended", "ended_async", "error", "token")

    def __init__(self) -> None:
        self.began = monotonic()
        self.claim = Lock()  # acquired by the thread that does the renewal, and never released
        self.ended, self.ended_async = Closing(), AsyncClosing()
        self.token: Token | None = None
        self.error: BaseException | None = None

    def end(self) -> None:
        self.ended.close()
        self.ended_async.close()


class TokenSecrets(Secrets):
    """The static keys of a client, its token, and previous tokens, because late responses may contain those."""

    def __init__(self, *known: str) -> None:
        super().__init__(*known)
        self._static = known
        self._tokens: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return True  # a token will be sent, even if it has not been fetched yet

    def with_static(self, *secrets: str) -> Self:
        """Adds static secrets, and returns this object."""
        self._static += secrets
        self._known += secrets
        return self

    def add(self, *tokens: str) -> None:
        self._tokens = tuple(dict.fromkeys((*tokens, *self._tokens)))[:4]
        self._known = (*self._static, *self._tokens)


class Identity:
    """Fetches the token that is sent with each attempt of a client, and renews it.

    Args:
        source: the name of the library, for errors.
        fetch: returns a token and the time when it expires, in seconds since the epoch. It may block, and may raise any
            exception.
        secrets: further secrets of the client and of the library.
        loggers: the names of the library's loggers, whose records are masked.
    """

    def __init__(
        self,
        source: str,
        fetch: Callable[[], tuple[str, float]],
        secrets: Iterable[str | None] = (),
        loggers: Iterable[str] = (),
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._token: Token | None = None
        self._is_closed = False
        # By process ID and number of the token to renew. The process ID is there because after a fork, the child must
        # not wait for a thread of its parent.
        self._renewals: dict[tuple[int, int], _Renewal] = {}
        self.secrets = TokenSecrets(*filter(None, secrets))
        mask_in_logs(self.secrets, loggers=loggers)

    def authorize(self, headers: MutableMapping[str, str], timeout: float) -> float:
        """Adds the token to the headers of an attempt. Returns the seconds that are left of `timeout`.

        Raises:
            NoTokenError: the identity returned no token, or not in time.
            PoolClosedError: the client was closed during the wait.
        """
        token, renewal = self._begin()
        if token is None:
            began = monotonic()
            token = self._renewed_token(renewal, renewal.ended.wait(timeout), timeout)
            timeout = max(timeout - (monotonic() - began), 0.001)
        headers["Authorization"] = token.header
        return timeout

    async def authorize_async(self, headers: MutableMapping[str, str], timeout: float) -> float:
        """Like `authorize`, but awaited."""
        token, renewal = self._begin()
        if token is None:
            began = monotonic()
            token = self._renewed_token(renewal, await renewal.ended_async.wait(timeout), timeout)
            timeout = max(timeout - (monotonic() - began), 0.001)
        headers["Authorization"] = token.header
        return timeout

    def close(self) -> None:
        """Ends all waits for a token, also those that begin later."""
        self._is_closed = True
        for renewal in self._renewals.copy().values():
            renewal.end()

    def check_token(self, response: FunctionResponse, header: str) -> FunctionResponse:
        """Returns the response to an attempt, with `token_rejected` set if a retry with a new token may succeed.

        Args:
            response: the response.
            header: the value of `Authorization` that was sent.
        """
        if not rejects_token(response):
            return response
        token = self._token
        if token is not None and token.header == header:
            if token.replaces_rejected and time() < token.fetched_at + _MIN_REPLACEMENT_INTERVAL:
                return response  # a new token was rejected, too, so the token is not the reason: do not fetch another
            self._token = token._replace(renew_at=0.0)
        return response._replace(token_rejected=True)

    def _begin(self) -> tuple[Token | None, Any]:
        """The token if it is valid, else None; and the renewal if it is time for one, else None. Starts the renewal."""
        token, now = self._token, time()
        if token is not None and now < token.renew_at:
            return token, None
        renewal = self._get_renewal(token)
        if self._is_closed:
            renewal.end()  # it began after `close`
        is_valid = token is not None and token.renew_at > 0 and now < token.expires_at
        return (token if is_valid else None), renewal

    def _get_renewal(self, token: Token | None) -> _Renewal:
        """The renewal of a token. Starts it if it has not started yet."""
        key = os.getpid(), token.number if token else 0
        renewal = self._renewals.get(key)
        if renewal is not None and monotonic() - renewal.began > _RENEWAL_TIMEOUT:
            self._renewals.pop(key, None)
            renewal = None
        if renewal is None:
            renewal = self._renewals.setdefault(key, _Renewal())
        if not renewal.claim.locked():
            try:
                # Not `Thread.start`, which waits on a lock that an interrupt could leave locked. The new thread claims
                # the renewal. If an interrupt prevents its start, the next call starts another thread.
                start_new_thread(self._renew, (key, renewal))
            except RuntimeError as err:  # the interpreter is shutting down, or the system cannot start more threads
                self._renewals.pop(key, None)
                renewal.error = err
                renewal.end()
        return renewal

    def _renew(self, key: tuple[int, int], renewal: _Renewal) -> None:
        """Renews the token. It runs in its own thread."""
        if not renewal.claim.acquire(blocking=False):
            return
        token = self._token
        try:
            if token is not None and token.number != key[1]:
                renewal.token = token  # another thread renewed the token just before this renewal was created
            else:
                renewal.token = self._token = self._fetch_token(token)
        except BaseException as err:
            renewal.error = self._mask_exception(err)
            if token is not None and token.number == self._token.number:  # type: ignore[union-attr]
                self._token = token._replace(renew_at=min(time() + _RETRY_DELAY, token.expires_at))
        finally:
            if self._renewals.get(key) is renewal:
                self._renewals.pop(key, None)
            renewal.end()

    def _mask_exception(self, err: BaseException) -> BaseException:
        """Masks the tokens in an exception of the library. Returns a replacement if it cannot be masked."""
        try:
            self.secrets.add(*find_tokens(err))
            mask_error(err, self.secrets)
            if find_tokens(err):  # some exceptions read their text from a response each time
                return ValueError(mask_text(f"{type(err).__name__}: {err}", self.secrets))
        except Exception:
            return ValueError(f"{type(err).__name__}, whose text cannot be read")
        return err

    def _fetch_token(self, previous: Token | None) -> Token:
        value, expires_at = self._fetch()
        if not isinstance(value, str) or not value:
            raise TypeError(f"the token must be a non-empty string, not {type(value).__name__}")
        self.secrets.add(value)
        if not HEADER_SAFE.match(value):
            raise ValueError("the token contains white space, a line break or a non-ASCII character")
        now, expires_at = time(), float(expires_at)
        if not expires_at > now:
            raise ValueError("the token has already expired")
        return Token(
            header=Secret(f"Bearer {value}"),
            expires_at=expires_at,
            renew_at=max(expires_at - _RENEW_BEFORE_EXPIRY, (now + expires_at) / 2),
            fetched_at=now,
            number=previous.number + 1 if previous else 1,
            replaces_rejected=previous is not None and previous.renew_at == 0,
        )

    def _renewed_token(self, renewal: _Renewal, has_ended: bool, timeout: float) -> Token:
        """The token of a renewal after a wait for it. Raises what `authorize` raises."""
        if self._is_closed:
            raise PoolClosedError(f"The client was closed while a call waited for a token of {self._source}")
        if not has_ended:
            raise NoTokenError(f"{self._source} returned no token within {round(timeout, 3):g} s")
        if renewal.token is None:
            error = renewal.error
            raise NoTokenError(f"{self._source} returned no token: {type(error).__name__}: {error}") from error
        return renewal.token


def raise_unusable(context: CallContext, library: str, extra: str, err: Exception) -> NoReturn:
    """Raises the exception for a library that is not installed, or cannot be used.

    Args:
        context: for errors.
        library: the name of the library.
        extra: the extra of this package that installs the library.
        err: the exception of the library. If it is an interrupt, it is raised unchanged.

    Raises:
        ConfigException: `NO_CREDENTIALS`.
    """
    if is_interrupt(err):
        raise err
    install = f"pip install 'pip-services4-serverless[{extra}]'"
    message = f"requires {library} ({install}): {type(err).__name__}: {err}"
    raise config_error(context, "NO_CREDENTIALS", "credential.identity", message) from err
