"""Certificates for the test servers. Clients trust one of the two authorities."""

from __future__ import annotations

import datetime
import functools
import ssl
from contextlib import AbstractContextManager

import trustme

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KINDS = ("good", "expired", "wrong_host", "unknown_ca")


@functools.cache
def authority() -> trustme.CA:
    """The authority that clients trust. Each process has its own."""
    return trustme.CA()


def ca_bundle() -> AbstractContextManager[str]:
    """A temporary PEM file with the certificate of the trusted authority."""
    return authority().cert_pem.tempfile()


@functools.cache
def server_context(kind: str) -> ssl.SSLContext:
    """The TLS context of a server with one of the certificates of `KINDS`. Another kind raises a ValueError."""
    if kind not in KINDS:
        raise ValueError(f"no such kind of certificate: {kind}")
    ca = trustme.CA() if kind == "unknown_ca" else authority()
    hosts = ("elsewhere.invalid",) if kind == "wrong_host" else LOOPBACK
    until = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC) if kind == "expired" else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*hosts, not_after=until).configure_cert(context)
    return context
