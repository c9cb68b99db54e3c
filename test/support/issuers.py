"""Servers that issue tokens: App Service's endpoint for managed identities, and Google's metadata server."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .clients import CLIENTS, config_for
from .fault_server import Connection, FaultServer, Request, Step, respond

HEADER = "IdentityHeader-hunter2-G"
SCOPE = "api://11111111-2222-3333-4444-555555555555/.default"
AZURE, GOOGLE = "/msi/token", "/computeMetadata/v1/instance/service-accounts/default/identity"
_ENDPOINTS = {"azure": AZURE, "google": GOOGLE}


class Issuer(FaultServer):
    """A server that is both. `issued` has its tokens."""

    def __init__(self) -> None:
        super().__init__(keep=0)
        self.default = self._step
        self.reset()

    def reset(self) -> None:
        """Restores the state of a new server."""
        self.issued: list[str] = []
        self.token_requests: list[dict[str, str]] = []
        """The queries of the requests for a token."""
        self.lifetime = 3600.0
        """Seconds until a token expires."""
        self.instead_of_token: Step | None = None
        """A step that replaces sending a token."""
        self.before_token: Callable[[], object] = lambda: None
        """A function that runs before a token is sent."""

    def token(self, **claims: Any) -> str:
        """A token that Google's library can read. Its signature is not checked."""
        now = time.time()
        parts = [{"alg": "RS256"}, {"iat": now, "exp": now + self.lifetime, "n": len(self.issued), **claims}]
        encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        token = ".".join((*encoded, f"hunter2-{len(self.issued):04}"))
        self.issued.append(token)
        return token

    def _step(self, request: Request) -> Step:
        url = urlsplit(request.path)
        if url.path in _ENDPOINTS.values():
            self.token_requests.append({name: values[0] for name, values in parse_qs(url.query).items()})
            return self.instead_of_token or Step("token", lambda connection: self._send(connection, url.path == GOOGLE))
        # Google's library first asks whether this is a metadata server, and for the account.
        return respond(200, {"email": "caller@shop.iam.gserviceaccount.com"}, headers={"Metadata-Flavor": "Google"})

    def _send(self, connection: Connection, is_google: bool) -> None:
        self.before_token()
        token, end = self.token(), int(time.time() + self.lifetime)
        step = respond(200, {"access_token": token, "expires_on": str(end), "token_type": "Bearer"})
        if is_google:
            step = respond(200, token.encode(), content_type="text/html")
        step.act(connection)


@cache
def _running() -> Issuer:
    """One server for all tests of a process, because Google's library reads its address when it is imported."""
    return Issuer().__enter__()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """The server, and an environment in which the libraries find only this server."""
    issuer = _running()
    issuer.reset()
    host = issuer.url.removeprefix("http://")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AZURE_", "GOOGLE_", "GCE_", "IDENTITY_"))]:
            patch.delenv(name)
        patch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")  # not the command line tools of developers
        patch.setenv("IDENTITY_ENDPOINT", issuer.url + AZURE)
        patch.setenv("IDENTITY_HEADER", HEADER)
        patch.setenv("GCE_METADATA_HOST", host)
        patch.setenv("GCE_METADATA_IP", host)
        yield issuer


@contextmanager
def client_with_identity(
    kind: Any, url: str, credential: dict[str, str] | None = None, **options: Any
) -> Iterator[Any]:
    """An open client whose credential is the platform's identity."""
    config = config_for(kind, url, **options)
    for key in [key for key in config.get_keys() if key.startswith("credential.")]:
        config.pop(key)
    own = {"azure": {"scope": SCOPE}}.get(kind, {})
    for name, value in {"identity": "default", **own, **(credential or {})}.items():
        config.put(f"credential.{name}", value)
    client = CLIENTS[kind]("dummies")
    client.configure(config)
    client.open("test")
    try:
        yield client
    finally:
        client.close("test")
