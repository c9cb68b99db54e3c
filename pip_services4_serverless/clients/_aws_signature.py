"""AWS Signature Version 4 for the calls of one client. This module is imported when a client opens.

botocore derives the signing key and parses the URL again for each request. Here both are cached, which makes a call
about a sixth faster. botocore still signs unusual requests: those with query parameters, with a body that is not
`bytes`, or with another kind of signature.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPException
from typing import Any

import botocore
import urllib3
from botocore import UNSIGNED
from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from .._rules.interrupts import is_interrupt
from .._rules.secrets import Secrets

_SERVICE = "lambda"
_NOT_SIGNED = frozenset(SIGNED_HEADERS_BLACKLIST)
# The libraries of AWS's credential chain, and the classes that they raise in addition to built-in ones.
LIBRARY_ERRORS = (BotoCoreError, ClientError, ResponseParserError, HTTPError, HTTPException)
LIBRARY_FOLDERS = tuple(os.path.dirname(str(library.__file__)) + os.sep for library in (botocore, urllib3))


class AwsSecrets(Secrets):
    """The secret key and the session token of a client, which AWS's credential chain may renew.

    Previous ones are still masked, because a late response may contain them.

    Args:
        credentials: botocore's credentials.
        find: finds the credentials again, in a forked child.
    """

    def __init__(self, credentials: Credentials, find: Callable[[], Credentials | None] | None = None) -> None:
        super().__init__()
        self._credentials = credentials
        self._find = find
        self._pid = os.getpid()
        self.get_keys()

    def get_keys(self) -> Any:
        """The keys to sign with, as botocore's `ReadOnlyCredentials`. It may block while AWS renews them.

        Raises:
            CredentialRetrievalError: the keys had to be renewed, and this failed.
        """
        try:
            if self._find and self._pid != os.getpid() and self.need_renewal():
                # During the fork, another thread may have held the lock of the credentials, to renew them.
                found = self._find()
                if found is None:
                    raise NoCredentialsError
                self._credentials, self._pid = found, os.getpid()
            keys = self._credentials.get_frozen_credentials()
        except Exception as err:  # a user's own credential provider can raise any class
            if is_interrupt(err, LIBRARY_FOLDERS, LIBRARY_ERRORS):
                raise
            raise CredentialRetrievalError(provider="credential chain", error_msg=str(err)) from err
        if keys.secret_key not in self._known or (keys.token and keys.token not in self._known):
            self._known = (*filter(None, (keys.secret_key, keys.token)), *self._known[:2])
        return keys

    def need_renewal(self) -> bool:
        """Whether the keys expire soon, so that `get_keys` may renew them."""
        return bool(isinstance(self._credentials, RefreshableCredentials) and self._credentials.refresh_needed())


class Signer:
    """Signs the calls of one client."""

    def __init__(self, region: str, secrets: AwsSecrets) -> None:
        self._region = region
        self.secrets = secrets
        # The last signing key, with the secret key and the scope that it was derived from.
        self._cached_key: tuple[tuple[str, ...], bytes] = ((), b"")
        # The last URL, with its canonical path, query and host.
        self._cached_url: tuple[str, tuple[str, str, str]] = ("", ("", "", ""))

    def sign_calls_of(self, client: Any) -> None:
        """Makes this object sign the `Invoke` requests of a boto3 client, in place of botocore."""
        client.meta.events.register_first("choose-signer.lambda.Invoke", self._choose_signer)
        client.meta.events.register_first("before-sign.lambda.Invoke", self._sign)

    def _choose_signer(self, signature_version: Any, **_: Any) -> Any:
        """Makes botocore leave the request unsigned. None leaves the choice to botocore."""
        return UNSIGNED if signature_version == "v4" else None

    def _sign(self, request: Any, signature_version: Any, **_: Any) -> None:
        if signature_version is UNSIGNED:
            scope = request.context.get("signing", {})
            region, service = scope.get("region") or self._region, scope.get("signing_name") or _SERVICE
            self.add_signature(request, self.secrets.get_keys(), region, service)

    def add_signature(self, request: Any, keys: Any, region: str, service: str, now: datetime | None = None) -> None:
        """Signs a request of botocore, and sets the same headers as botocore.

        Args:
            request: an `AWSRequest`.
            keys: botocore's `ReadOnlyCredentials`.
            region: the region to sign for.
            service: the service to sign for.
            now: the time to sign at; by default the current time.
        """
        headers, body = request.headers, request.data
        if request.params or not isinstance(body, bytes) or "Date" in headers or "X-Amz-Content-SHA256" in headers:
            SigV4Auth(keys, service, region).add_auth(request)
            return
        timestamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        present = {name.lower() for name in headers.keys()}  # noqa: SIM118 (iterating over an email.message is slow)
        for name, value in (("Authorization", None), ("X-Amz-Date", timestamp), ("X-Amz-Security-Token", keys.token)):
            if name.lower() in present:
                del headers[name]
            if value:
                headers[name] = value
        headers["Authorization"] = self._authorization(
            request.method.upper(), request.url, headers.items(), body, keys, f"{region}/{service}", timestamp
        )

    def sign(self, method: str, url: str, headers: dict[str, str], body: bytes, keys: Any) -> None:
        """Signs a request that was not made by botocore. Adds to `headers`. The other arguments are as above."""
        timestamp = headers["X-Amz-Date"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        if keys.token:
            headers["X-Amz-Security-Token"] = keys.token
        headers["Authorization"] = self._authorization(
            method, url, headers.items(), body, keys, f"{self._region}/{_SERVICE}", timestamp
        )

    def _authorization(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        keys: Any,
        place: str,
        timestamp: str,
    ) -> str:
        scope = f"{timestamp[:8]}/{place}/aws4_request"
        path, query, host = self._parse_url(url)
        signed: dict[str, str] = {}
        for name, value in headers:
            name = name.lower()
            if name not in _NOT_SIGNED:
                value = " ".join(value.split())
                signed[name] = f"{signed[name]},{value}" if name in signed else value
        signed.setdefault("host", host)
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = "\n".join((method, path, query, lines, names, sha256(body).hexdigest()))
        to_sign = "\n".join(("AWS4-HMAC-SHA256", timestamp, scope, sha256(canonical.encode()).hexdigest()))
        signature = hmac.digest(self._signing_key(keys.secret_key, scope), to_sign.encode(), "sha256").hex()
        return f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"

    def _parse_url(self, url: str) -> tuple[str, str, str]:
        """The canonical path, query and host of a URL. They are copied from the canonical request of botocore."""
        cached, parts = self._cached_url
        if cached != url:
            request = AWSRequest("POST", url)
            auth = SigV4Auth(None, _SERVICE, "")
            _, path, query, *_ = auth.canonical_request(request).split("\n")
            parts = path, query, auth.headers_to_sign(request)["host"]
            self._cached_url = url, parts
        return parts

    def _signing_key(self, secret_key: str, scope: str) -> bytes:
        cached, key = self._cached_key
        if cached != (secret_key, scope):
            key = f"AWS4{secret_key}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._cached_key = (secret_key, scope), key
        return key
