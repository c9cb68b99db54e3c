"""Tokens of the platform's identity, sent as `Authorization: Bearer`. Imported when a client with
`credential.identity` opens.

The libraries that fetch tokens have timeouts of their own. They run in a separate thread, and each call waits for it
within its own timeout. No lock is held that an interrupt or a fork could leave locked.
"""

from __future__ import annotations

import os
import re
from _thread import start_new_thread
from collections.abc import Callable, MutableMapping
from datetime import UTC
from importlib import import_module
from threading import Lock
from time import monotonic, time
from typing import Any, NamedTuple, NoReturn

from .._context import CallContext
from .._rules.errors import rejects_token
from .._rules.interrupts import is_interrupt
from .._rules.response import FunctionResponse
from .._rules.secrets import Secrets, mask_error, mask_text
from .._wire.errors import PoolClosedError
from ..connect._config_errors import config_error
from ._async_closing import AsyncClosing
from ._closing import Closing
from ._failures import NoTokenError
from ._http_function_client import Secret
from ._log_filter import find_tokens, mask_in_logs

# Seconds before a token's end at which it is renewed. Google's metadata server and Azure's libraries give the same
# token again until 4 and 5 minutes before.
_RENEW_BEFORE_END = 225.0
_RETRY_DELAY = 10.0  # seconds to the next renewal after one that failed, while the token is valid
_RENEWAL_TIMEOUT = 60.0  # seconds after which a renewal is abandoned and another one starts
_MIN_REPLACEMENT_INTERVAL = 60.0  # seconds in which a replaced token is not replaced again
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+\Z")

_LOGGERS = (
    *(f"azure.identity._credentials.{name}" for name in ("azure_cli", "azd_cli", "azure_powershell", "chained")),
    *(f"azure.identity._credentials.{name}" for name in ("default", "environment", "managed_identity")),
    *(f"azure.identity._internal.{name}" for name in ("decorators", "get_token_mixin", "managed_identity_client")),
    "azure.identity._internal.msal_managed_identity_client",
    *(f"azure.core.pipeline.policies.{name}" for name in ("http_logging_policy", "_retry", "_universal")),
    *(f"msal.{name}" for name in ("application", "cloudshell", "managed_identity", "oauth2cli.oauth2", "token_cache")),
    *(f"google.auth.{name}" for name in ("_default", "compute_engine._metadata", "compute_engine.credentials")),
    *(f"google.auth.{name}" for name in ("impersonated_credentials", "transport.requests")),
    *(f"google.oauth2.{name}" for name in ("_client", "service_account")),
)
# Secrets with which the libraries authenticate themselves.
_SECRET_VARIABLES = ("AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "IDENTITY_HEADER")


class Token(NamedTuple):
    """A token and the data for its renewal. Times are in seconds since the epoch."""

    header: str  # the value of `Authorization`
    expires_at: float
    renew_at: float  # 0 for a rejected token
    fetched_at: float
    number: int  # counts the tokens of a client, from 1 on
    replaces_rejected: bool


class _Renewal:
    """One renewal of a token. All threads and tasks that need it wait for the same one."""

    __slots__ = ("began", "claim", "ended", "ended_async", "error", "token")

    def __init__(self) -> None:
        self.began = monotonic()
        self.claim = Lock()  # taken once and never released, by the thread that does it
        self.ended, self.ended_async = Closing(), AsyncClosing()
        self.token: Token | None = None
        self.error: BaseException | None = None

    def end(self) -> None:
        self.ended.close()
        self.ended_async.close()


class TokenSecrets(Secrets):
    """The static keys of a client, its token and previous tokens, which late responses may still contain."""

    def __init__(self, *known: str) -> None:
        super().__init__(*known)
        self._static = known
        self._tokens: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return True  # a token will be sent, even if there is none yet

    def add(self, *tokens: str) -> None:
        self._tokens = tuple(dict.fromkeys((*tokens, *self._tokens)))[:4]
        self._known = (*self._static, *self._tokens)


class Identity:
    """The token that a client's attempts carry.

    Args:
        source: the name of the library, for errors.
        fetch: returns a token and its expiry in seconds since the epoch. It may block, and raise any exception.
        keys: further secrets of the client.
    """

    def __init__(self, source: str, fetch: Callable[[], tuple[str, float]], *keys: str | None) -> None:
        self._source = source
        self._fetch = fetch
        self._token: Token | None = None
        self._is_closed = False
        # By process and number of the token to be replaced: a fork's child does not wait for its parent's thread.
        self._renewals: dict[tuple[int, int], _Renewal] = {}
        variables = map(os.environ.get, _SECRET_VARIABLES)
        self.secrets = TokenSecrets(*filter(None, (*keys, *variables)))
        mask_in_logs(self.secrets, loggers=_LOGGERS)

    def authorize(self, headers: MutableMapping[str, str], timeout: float) -> float:
        """Adds the token to an attempt's headers. Returns the seconds that are left of `timeout`.

        Raises:
            NoTokenError: the identity gave no token, or not in time.
            PoolClosedError: the client was closed meanwhile.
        """
        token, renewal = self._begin()
        if token is None:
            began = monotonic()
            token = self._outcome(renewal, renewal.ended.wait(timeout), timeout)
            timeout = max(timeout - (monotonic() - began), 0.001)
        headers["Authorization"] = token.header
        return timeout

    async def authorize_async(self, headers: MutableMapping[str, str], timeout: float) -> float:
        """As `authorize`, awaited."""
        token, renewal = self._begin()
        if token is None:
            began = monotonic()
            token = self._outcome(renewal, await renewal.ended_async.wait(timeout), timeout)
            timeout = max(timeout - (monotonic() - began), 0.001)
        headers["Authorization"] = token.header
        return timeout

    def close(self) -> None:
        """Ends the waits for a token, those to come as well."""
        self._is_closed = True
        for renewal in self._renewals.copy().values():
            renewal.end()

    def check_token(self, response: FunctionResponse, header: str) -> FunctionResponse:
        """The response to an attempt with the token `header`, marked with `token_rejected` if a new token may help."""
        if not rejects_token(response):
            return response
        token = self._token
        if token is not None and token.header == header:
            if token.replaces_rejected and time() < token.fetched_at + _MIN_REPLACEMENT_INTERVAL:
                return response  # the token is not the reason: do not ask the issuer for another one
            self._token = token._replace(renew_at=0.0)
        return response._replace(token_rejected=True)

    def _begin(self) -> tuple[Token | None, Any]:
        """The token, if it is valid; and the renewal, if one is due."""
        token, now = self._token, time()
        if token is not None and now < token.renew_at:
            return token, None
        renewal = self._renewal(token)
        if self._is_closed:
            renewal.end()  # `close` did not see it
        holds = token is not None and token.renew_at > 0 and now < token.expires_at
        return (token if holds else None), renewal

    def _renewal(self, token: Token | None) -> _Renewal:
        """The renewal of a token. Starts it if it has not started."""
        key = os.getpid(), token.number if token else 0
        renewal = self._renewals.get(key)
        if renewal is not None and monotonic() - renewal.began > _RENEWAL_TIMEOUT:
            self._renewals.pop(key, None)
            renewal = None
        if renewal is None:
            renewal = self._renewals.setdefault(key, _Renewal())
        if not renewal.claim.locked():
            try:
                # By this and not by `Thread`, whose `start` waits on a lock that an interrupt can leave locked. The
                # thread claims the renewal: if an interrupt comes before it has started, the next call starts one.
                start_new_thread(self._renew, (key, renewal))
            except RuntimeError as err:  # the interpreter ends, or the system has no more threads
                self._renewals.pop(key, None)
                renewal.error = err
                renewal.end()
        return renewal

    def _renew(self, key: tuple[int, int], renewal: _Renewal) -> None:
        """Runs in a thread of its own."""
        if not renewal.claim.acquire(blocking=False):
            return
        token = self._token
        try:
            if token is not None and token.number != key[1]:
                renewal.token = token  # it was renewed just before this renewal was asked for
            else:
                renewal.token = self._token = self._fetched(token)
        except BaseException as err:
            renewal.error = self._masked(err)
            if token is not None and token.number == self._token.number:  # type: ignore[union-attr]
                self._token = token._replace(renew_at=min(time() + _RETRY_DELAY, token.expires_at))
        finally:
            if self._renewals.get(key) is renewal:
                self._renewals.pop(key, None)
            renewal.end()

    def _masked(self, err: BaseException) -> BaseException:
        """The library's exception without tokens, or another one in its place."""
        try:
            self.secrets.add(*find_tokens(err))
            mask_error(err, self.secrets)
            if find_tokens(err):  # its text is read from a response each time
                return ValueError(mask_text(f"{type(err).__name__}: {err}", self.secrets))
        except Exception:
            return ValueError(f"{type(err).__name__}, whose text cannot be read")
        return err

    def _fetched(self, before: Token | None) -> Token:
        value, expires_at = self._fetch()
        if not isinstance(value, str) or not value:
            raise TypeError(f"the token is not a string but {type(value).__name__}")
        self.secrets.add(value)
        if not _HEADER_SAFE.match(value):
            raise ValueError("the token contains characters that a header cannot have")
        now, expires_at = time(), float(expires_at)
        if not expires_at > now:
            raise ValueError("the token has already expired")
        return Token(
            header=Secret(f"Bearer {value}"),
            expires_at=expires_at,
            renew_at=max(expires_at - _RENEW_BEFORE_END, (now + expires_at) / 2),
            fetched_at=now,
            number=before.number + 1 if before else 1,
            replaces_rejected=before is not None and before.renew_at == 0,
        )

    def _outcome(self, renewal: _Renewal, has_ended: bool, timeout: float) -> Token:
        if self._is_closed:
            raise PoolClosedError(f"The client was closed while a call waited for a token of {self._source}")
        if not has_ended:
            raise NoTokenError(f"{self._source} gave no token within {round(timeout, 3):g} s")
        if renewal.token is None:
            error = renewal.error
            raise NoTokenError(f"{self._source} gave no token: {type(error).__name__}: {error}") from error
        return renewal.token


def entra_identity(context: CallContext, scope: str, client_id: str | None, key: str | None) -> Identity:
    """The identity of Microsoft Entra. Connects nowhere.

    Args:
        scope: of the tokens, as `api://<application ID>/.default`.
        client_id: of a user-assigned identity; None leaves it to `AZURE_CLIENT_ID`.
        key: the function's key, if one is sent as well.

    Raises:
        ConfigException: `NO_CREDENTIALS`: the library is not installed, or cannot be used.
    """
    identity = {"managed_identity_client_id": client_id} if client_id else {}
    try:
        from azure.identity import DefaultAzureCredential

        DefaultAzureCredential(**identity).close()  # also imports what a thread could not import after a fork
    except Exception as err:
        _cannot_use(context, "azure-identity", "entra", err)

    def fetch() -> tuple[str, float]:
        # A new one each time: a kept one would return its own copy of a rejected token, and has locks that a fork could
        # leave locked.
        with DefaultAzureCredential(**identity) as credential:
            token = credential.get_token(scope)
        return token.token, token.expires_on

    return Identity("azure-identity", fetch, key)


def google_identity(context: CallContext, audience: str) -> Identity:
    """The identity of Google Cloud. Connects nowhere.

    Args:
        audience: of the ID tokens: the function's URL, or a custom audience.

    Raises:
        ConfigException: `NO_CREDENTIALS`: the library is not installed, or cannot be used.
    """
    try:
        import google.oauth2.id_token
        import requests
        from google.auth.transport.requests import Request

        for late in ("google.auth.compute_engine", "google.oauth2.service_account"):
            import_module(late)  # which a thread could not import after a fork
    except Exception as err:
        _cannot_use(context, "google-auth", "google", err)

    id_token: Any = google.oauth2.id_token  # without types

    def fetch() -> tuple[str, float]:
        with requests.Session() as session:
            request = Request(session)
            credentials = id_token.fetch_id_token_credentials(audience, request)
            credentials.refresh(request)
        return credentials.token, credentials.expiry.replace(tzinfo=UTC).timestamp()

    return Identity("google-auth", fetch)


def _cannot_use(context: CallContext, library: str, extra: str, err: Exception) -> NoReturn:
    if is_interrupt(err):
        raise err
    install = f"pip install 'pip-services4-serverless[{extra}]'"
    message = f"requires {library} ({install}): {type(err).__name__}: {err}"
    raise config_error(context, "NO_CREDENTIALS", "credential.identity", message) from err
