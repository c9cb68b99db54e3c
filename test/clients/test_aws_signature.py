"""Our signature is botocore's own, to the byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.clients import ACCESS_ID, ACCESS_KEY, SESSION_TOKEN, open_client
from support.fault_server import FaultServer

from pip_services4_serverless.clients._aws_signature import Secrets, Signer

NOW = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
LAMBDA = "https://lambda.eu-west-1.amazonaws.com"
INVOKE = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Adummies%3Alive/invocations"


@pytest.fixture(autouse=True)
def _botocores_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: NOW)


def signed(sign: Any, request: AWSRequest, token: str | None) -> list[tuple[str, str]]:
    sign(request, Credentials(ACCESS_ID, ACCESS_KEY, token))
    return sorted(request.headers.items())


def by_botocore(request: AWSRequest, credentials: Credentials) -> None:
    botocore.auth.SigV4Auth(credentials.get_frozen_credentials(), "lambda", "eu-west-1").add_auth(request)


def by_us(request: AWSRequest, credentials: Credentials) -> None:
    signer = Signer("eu-west-1", Secrets(credentials))
    for _ in range(2):  # the second time from what was kept
        signer.add_signature(request, credentials.get_frozen_credentials(), "eu-west-1", "lambda", NOW)


@pytest.mark.parametrize("token", [None, SESSION_TOKEN, "with/odd+characters=="])
@pytest.mark.parametrize(
    "url",
    [
        LAMBDA + INVOKE,
        LAMBDA + "/2015-03-31/functions/dummies/invocations?Qualifier=live&b=2&a=1",
        "http://localhost:80/a/../b//c/",
        "http://127.0.0.1:8080/with blank/~tilde/ü",
        "https://host:443/",
        "https://host:8443",
        "http://[::1]:9000/x",
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"", '{"größe": 1}'.encode() * 1000])
def test_it_equals_botocores(url: str, token: str | None, body: bytes) -> None:
    """For every path, host, token and body, with headers to fold, to skip and to replace."""

    def request() -> AWSRequest:
        headers = {
            "X-Amz-Invocation-Type": "RequestResponse",
            "User-Agent": "not signed",
            "X-Amzn-Trace-Id": "not signed either",
            "X-Odd": "  much   white   space ",
            "Authorization": "to be replaced",
            "X-Amz-Date": "to be replaced",
        }
        return AWSRequest("POST", url, headers=headers, data=body)

    assert signed(by_us, request(), token) == signed(by_botocore, request(), token)


@pytest.mark.parametrize(
    "unusual",
    [
        {"params": {"Qualifier": "live"}, "data": b"{}"},
        {"data": "a string"},
        {"data": b"{}", "headers": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}},
        {"data": b"{}", "headers": {"Date": "Sat, 21 Nov 2026 23:59:59 GMT"}},
    ],
)
def test_the_unusual_is_left_to_botocore(unusual: dict[str, Any]) -> None:
    """Query parameters, a body that is no bytes, and headers that change how to sign."""
    ours, theirs = AWSRequest("POST", LAMBDA + INVOKE, **unusual), AWSRequest("POST", LAMBDA + INVOKE, **unusual)
    assert signed(by_us, ours, SESSION_TOKEN) == signed(by_botocore, theirs, SESSION_TOKEN)


def test_a_call_is_signed_once() -> None:
    """On the wire there is one signature, with the token among the signed headers."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        client._call("get", "t1")
        headers = server.requests[0].headers
    assert headers.get_all("Authorization") == [headers["authorization"]]
    assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_ID}/")
    assert "x-amz-security-token" in headers["authorization"]
    assert headers["x-amz-security-token"] == SESSION_TOKEN


def test_a_presigned_url_is_botocores_business() -> None:
    """Only the signing of calls is taken over."""
    with open_client("lambda", "http://127.0.0.1:1") as client:
        url = client._lambda.generate_presigned_url("invoke", {"FunctionName": "dummies"})
    assert "X-Amz-Signature=" in url
