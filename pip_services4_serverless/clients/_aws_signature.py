"""AWS Signature Version 4 for the calls of one client. Imported when a client opens.

botocore signs each request from nothing; here the day's key and what follows from the URL are kept, which takes a sixth
of a call away. What is unusual (query parameters, a body that is no bytes, another signature) is left to botocore.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
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
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from .._rules.interrupts import is_interrupt
from .._rules.secrets import Secrets as _Secrets

_SERVICE = "lambda"
_NOT_SIGNED = frozenset(SIGNED_HEADERS_BLACKLIST)
# What AWS's chain raises of its own, beside built-in classes.
RAISED = (BotoCoreError, ClientError, ResponseParserError, HTTPError, HTTPException)
LIBRARIES = tuple(os.path.dirname(str(library.__file__)) + os.sep for library in (botocore, urllib3))


class Secrets(_Secrets):
    """The secret key and session token that calls are signed with. AWS's chain renews them; the ones before stay
    secret, because a late response may still contain them."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials
        self.keys()

    def keys(self) -> Any:
        """The keys to sign with now.

        Raises:
            CredentialRetrievalError: they were to be renewed, and could not be.
        """
        try:
            keys = self._credentials.get_frozen_credentials()
        except Exception as err:  # a provider of the owner's own raises any class
            if is_interrupt(err, LIBRARIES, RAISED):
                raise
            raise CredentialRetrievalError(provider="credential chain", error_msg=str(err)) from err
        if keys.secret_key not in self._known or (keys.token and keys.token not in self._known):
            self._known = (*filter(None, (keys.secret_key, keys.token)), *self._known[:2])
        return keys

    def must_be_renewed(self) -> bool:
        """Whether `keys` would ask AWS for others, now or soon."""
        return bool(isinstance(self._credentials, RefreshableCredentials) and self._credentials.refresh_needed())


class Signer:
    """Signs the calls of one client, and keeps what stays the same from one call to the next."""

    def __init__(self, region: str, secrets: Secrets) -> None:
        self._region = region
        self.secrets = secrets
        self._key: tuple[tuple[str, ...], bytes] = ((), b"")  # of a secret key, day, region and service
        self._target: tuple[str, tuple[str, str, str]] = ("", ("", "", ""))  # of a URL

    def take_over(self, client: Any) -> None:
        """Signs the client's `Invoke` from now on: botocore is told that it is not to sign, just before we do."""
        client.meta.events.register_first("choose-signer.lambda.Invoke", self._choose)
        client.meta.events.register_first("before-sign.lambda.Invoke", self._sign)

    def _choose(self, signature_version: Any, **_: Any) -> Any:
        return UNSIGNED if signature_version == "v4" else None

    def _sign(self, request: Any, signature_version: Any, **_: Any) -> None:
        if signature_version is UNSIGNED:
            scope = request.context.get("signing", {})
            region, service = scope.get("region") or self._region, scope.get("signing_name") or _SERVICE
            self.add_signature(request, self.secrets.keys(), region, service)

    def add_signature(self, request: Any, keys: Any, region: str, service: str, now: datetime | None = None) -> None:
        """Signs a botocore `AWSRequest` with frozen credentials; sets the headers that botocore would."""
        headers, body = request.headers, request.data
        if request.params or not isinstance(body, bytes) or "Date" in headers or "X-Amz-Content-SHA256" in headers:
            SigV4Auth(keys, service, region).add_auth(request)
            return
        timestamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        present = {name.lower() for name in headers.keys()}  # noqa: SIM118 (to iterate over a message is slow)
        for name, value in (("Authorization", None), ("X-Amz-Date", timestamp), ("X-Amz-Security-Token", keys.token)):
            if name.lower() in present:
                del headers[name]
            if value:
                headers[name] = value
        headers["Authorization"] = self._authorization(
            request.method.upper(), request.url, headers.items(), body, keys, f"{region}/{service}", timestamp
        )

    def sign(self, method: str, url: str, headers: dict[str, str], body: bytes, keys: Any) -> None:
        """Signs a request of which there is no `AWSRequest` with frozen credentials: adds to its headers."""
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
        path, query, host = self._of_url(url)
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

    def _of_url(self, url: str) -> tuple[str, str, str]:
        """Canonical path, query and host as botocore has them: taken from its own canonical request."""
        known, parts = self._target
        if known != url:
            request = AWSRequest("POST", url)
            auth = SigV4Auth(None, _SERVICE, "")
            _, path, query, *_ = auth.canonical_request(request).split("\n")
            parts = path, query, auth.headers_to_sign(request)["host"]
            self._target = url, parts
        return parts

    def _signing_key(self, secret_key: str, scope: str) -> bytes:
        known, key = self._key
        if known != (secret_key, scope):
            key = f"AWS4{secret_key}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret_key, scope), key
        return key
