"""The client's signature is the same as botocore's, byte by byte, and as that of AWS's test suite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.clients import ACCESS_ID, ACCESS_KEY, SESSION_TOKEN, open_client
from support.fault_server import FaultServer

from pip_services4_serverless.clients._aws_signature import AwsSecrets, Signer

NOW = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
LAMBDA = "https://lambda.eu-west-1.amazonaws.com"
INVOKE = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Adummies%3Alive/invocations"


@pytest.fixture(autouse=True)
def _fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: NOW)


def signed(sign: Any, request: AWSRequest, token: str | None) -> list[tuple[str, str]]:
    sign(request, Credentials(ACCESS_ID, ACCESS_KEY, token))
    return sorted(request.headers.items())


def by_botocore(request: AWSRequest, credentials: Credentials) -> None:
    botocore.auth.SigV4Auth(credentials.get_frozen_credentials(), "lambda", "eu-west-1").add_auth(request)


def by_signer(request: AWSRequest, credentials: Credentials) -> None:
    signer = Signer("eu-west-1", AwsSecrets(credentials))
    for _ in range(2):  # the second time uses what the signer cached
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
def test_the_signature_is_the_same_as_botocores(url: str, token: str | None, body: bytes) -> None:
    """For each path, host, token and body, with headers to fold, to skip and to replace."""

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

    assert signed(by_signer, request(), token) == signed(by_botocore, request(), token)


# All examples use the same fixed clock.
MANY = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
header_names = st.sampled_from(
    (
        *("X-Amz-Invocation-Type", "x-amz-invocation-type", "X-Amz-Date", "Content-Type", "CONTENT-LENGTH", "Host"),
        *("User-Agent", "X-Amzn-Trace-Id", "traceparent", "Expect", "Transfer-Encoding", "Connection", "X-Odd", "a"),
    )
)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30) | st.sampled_from(
    ["", " ", "\t x \t y\t", "a  b   c", "RequestResponse", "a,b,,c", '"a   b"', "\xa0x\xa0"]
)
segments = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00/?#"), max_size=12
) | st.sampled_from(["", ".", "..", "%2F", "%3A", "arn:aws:lambda", "~", "a b", "ü", "+", "*", "=", "&"])
queries = st.lists(st.tuples(segments, segments), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}".replace(" ", "%20") for name, value in pairs)
)
hosts = st.sampled_from(
    ["lambda.eu-west-1.amazonaws.com", "localhost", "127.0.0.1", "[::1]", "EXAMPLE.com", "vpce-0.x"]
)
REPEATED_HOST = [("Host", "a"), ("Host", "b")]  # found by a random request: its signature was different
ports = st.sampled_from(["", ":80", ":443", ":9000"])


@MANY
@given(
    method=st.sampled_from(["POST", "GET", "PUT", "post"]),
    scheme=st.sampled_from(["http", "https"]),
    host=hosts,
    port=ports,
    path=st.lists(segments, max_size=6),
    query=queries,
    headers=st.lists(st.tuples(header_names, header_values), max_size=8),
    body=st.binary(max_size=100),
    token=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
)
@example("POST", "https", "localhost", "", [], "", REPEATED_HOST, b"", None)
def test_random_requests_have_the_same_signature_as_botocores(
    method: str,
    scheme: str,
    host: str,
    port: str,
    path: list[str],
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    token: str | None,
) -> None:
    """The method, path, query, headers and body are random."""
    url = f"{scheme}://{host}{port}/{'/'.join(path)}" + (f"?{query}" if query else "")

    def request() -> AWSRequest:
        made = AWSRequest(method, url, data=body)
        for name, value in headers:
            made.headers.add_header(name, value)  # which keeps earlier headers of that name
        return made

    assert signed(by_signer, request(), token) == signed(by_botocore, request(), token)


@pytest.mark.parametrize(
    "arguments",
    [
        {"params": {"Qualifier": "live"}, "data": b"{}"},
        {"data": "a string"},
        {"data": b"{}", "headers": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}},
        {"data": b"{}", "headers": {"Date": "Sat, 21 Nov 2026 23:59:59 GMT"}},
    ],
)
def test_unusual_requests_are_signed_by_botocore(arguments: dict[str, Any]) -> None:
    """They have query parameters, a body that is not bytes, or headers that change the signature."""
    ours, theirs = AWSRequest("POST", LAMBDA + INVOKE, **arguments), AWSRequest("POST", LAMBDA + INVOKE, **arguments)
    assert signed(by_signer, ours, SESSION_TOKEN) == signed(by_botocore, theirs, SESSION_TOKEN)


AT = "20150830T123600Z"
SUITE_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY"
    "9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


class Vector(NamedTuple):
    """One case of AWS's Signature Version 4 test suite."""

    signature: str
    signed_headers: str = "host;x-amz-date"
    method: str = "POST"
    target: str = "/"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    token: str | None = None


FORM = "application/x-www-form-urlencoded"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MY_HEADER = "host;my-header1;x-amz-date"
# The names are those of the suite. Its folded headers and unescaped targets never reach this signer.
SUITE = {
    "post-vanilla": Vector("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-header-key-case": Vector(
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", headers=[("x-AMZ-date", AT)]
    ),
    "post-header-key-sort": Vector(
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        MY_HEADER,
        headers=[("My-Header1", "value1")],
    ),
    "post-header-value-case": Vector(
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        MY_HEADER,
        headers=[("My-Header1", "VALUE1")],
    ),
    "post-sts-header-after": Vector("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-sts-header-before": Vector(
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        "host;x-amz-date;x-amz-security-token",
        token=SUITE_TOKEN,
    ),
    "post-vanilla-query": Vector(
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", target="/?Param1=value1"
    ),
    "post-vanilla-empty-query-value": Vector(
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", target="/?Param1=value1"
    ),
    "post-x-www-form-urlencoded": Vector(
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        "content-type;host;x-amz-date",
        headers=[("Content-Type", FORM)],
        body=b"Param1=value1",
    ),
    "post-x-www-form-urlencoded-parameters": Vector(
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        "content-type;host;x-amz-date",
        headers=[("Content-Type", f"{FORM}; charset=utf8")],
        body=b"Param1=value1",
    ),
    "get-vanilla": Vector("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", method="GET"),
    "get-slash-dot-slash": Vector(
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", method="GET", target="/./"
    ),
    "get-slashes": Vector(
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84", method="GET", target="//example//"
    ),
    "get-slash-pointless-dot": Vector(
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5", method="GET", target="/./example"
    ),
    "get-space": Vector(
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741", method="GET", target="/example space/"
    ),
    "get-utf8": Vector(
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", method="GET", target="/\u1234"
    ),
    "get-unreserved": Vector(
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f", method="GET", target=f"/{UNRESERVED}"
    ),
    "get-vanilla-query-order-key-case": Vector(
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        method="GET",
        target="/?Param2=value2&Param1=value1",
    ),
    "get-vanilla-query-order-key": Vector(
        "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
        method="GET",
        target="/?Param1=value2&Param1=Value1",
    ),
    "get-vanilla-query-order-value": Vector(
        "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
        method="GET",
        target="/?Param1=value2&Param1=value1",
    ),
    "get-vanilla-query-unreserved": Vector(
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        method="GET",
        target=f"/?{UNRESERVED}={UNRESERVED}",
    ),
    "get-header-key-duplicate": Vector(
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        MY_HEADER,
        method="GET",
        headers=[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
    ),
    "get-header-value-order": Vector(
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        MY_HEADER,
        method="GET",
        headers=[("My-Header1", f"value{number}") for number in (4, 1, 3, 2)],
    ),
    "get-header-value-trim": Vector(
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        "host;my-header1;my-header2;x-amz-date",
        method="GET",
        headers=[("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')],
    ),
}


@pytest.mark.parametrize("name", SUITE)
def test_the_signature_is_that_of_awss_test_suite(name: str) -> None:
    """With the keys, time, region and service of the suite."""
    vector = SUITE[name]
    request = AWSRequest(vector.method, f"https://example.amazonaws.com{vector.target}", data=vector.body)
    for header, value in vector.headers:
        request.headers.add_header(header, value)
    keys = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", vector.token)
    signer = Signer("us-east-1", AwsSecrets(keys))
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    signer.add_signature(request, keys.get_frozen_credentials(), "us-east-1", "service", at)
    assert request.headers["X-Amz-Date"] == AT
    assert request.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={vector.signed_headers}, Signature={vector.signature}"
    )


def test_a_call_is_signed_once() -> None:
    """Its one signature includes the session token."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        client._call("get", "t1")
        headers = server.requests[0].headers
    assert headers.get_all("Authorization") == [headers["authorization"]]
    assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_ID}/")
    assert "x-amz-security-token" in headers["authorization"]
    assert headers["x-amz-security-token"] == SESSION_TOKEN


def test_botocore_signs_presigned_urls() -> None:
    """This package's signer signs only calls."""
    with open_client("lambda", "http://127.0.0.1:1") as client:
        url = client._lambda.generate_presigned_url("invoke", {"FunctionName": "dummies"})
    assert "X-Amz-Signature=" in url
