"""What is specific to the Lambda client: its request, regions, credentials, and the errors of AWS."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    ConflictException,
    InvocationException,
    NotFoundException,
    UnauthorizedException,
)
from pip_services4_components.config import ConfigParams
from support.clients import ACCESS_ID, ACCESS_KEY, ARN, SESSION_TOKEN, config_for, failure, open_client, short_message
from support.fault_server import FaultServer, Request, close_after_read, respond

from pip_services4_serverless.clients import AsyncLambdaClient, LambdaClient

MIB = 1024 * 1024
KEYS = ("credential.access_id", ACCESS_ID, "credential.access_key", ACCESS_KEY)


def opened(*settings: str) -> LambdaClient:
    """An open client with these settings."""
    client = LambdaClient()
    client.configure(ConfigParams.from_tuples(*settings))
    client.open("T")
    return client


def called(server: FaultServer, *settings: str) -> Request:
    """The request of one call, as the server read it."""
    client = opened("connection.uri", server.url, *settings)
    assert client._call("get", "T", {"id": "7"}) == {"id": "7", "cmd": "get", "trace_id": "T"}
    client.close("T")
    return server.requests[-1]


def open_error(*settings: str) -> ConfigException:
    """The error of `open` with these settings."""
    with pytest.raises(ConfigException) as caught:
        opened(*settings)
    return caught.value


# --- The request ---


def signature(request: Request, secret: str, scope: str) -> str:
    """The signature of a request, by the definition of AWS's Signature Version 4."""
    signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in signed.split(";"))
    hashed = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join((request.method, quote(request.path, safe="/-_.~"), "", headers, signed, hashed))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest))
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


@pytest.mark.defect(30)
@pytest.mark.parametrize("token", [SESSION_TOKEN, ""])
def test_the_request_is_signed(token: str) -> None:
    """The signature is for the function's region. It includes everything that arrived, and the session token."""
    with FaultServer() as server:
        request = called(server, "connection.arn", f"{ARN}:live", *KEYS, "credential.session_token", token)

        scope = f"{request.headers['x-amz-date'][:8]}/eu-west-1/lambda/aws4_request"
        authorization = request.headers["authorization"]
        assert authorization.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_ID}/{scope}, ")
        assert authorization.endswith(f"Signature={signature(request, ACCESS_KEY, scope)}")
        assert request.headers["x-amz-security-token"] == (token or None)
        assert ("x-amz-security-token" in authorization) == bool(token)


@pytest.mark.defect(27)
@pytest.mark.defect(28)
@pytest.mark.parametrize(
    "function",
    [
        ARN,
        f"{ARN}:live",
        f"{ARN}:$LATEST",
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:dummies:7",
        "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:dummies",
        "123456789012:function:dummies",
        "123456789012:dummies:live",
        "function:dummies",
        "dummies",
        "dummies:live",
    ],
)
def test_a_function_is_called_by_its_configured_name(function: str) -> None:
    """It may be an ARN, a partial ARN or a name, with an alias or a version."""
    with FaultServer() as server:
        request = called(server, "connection.arn", function, "connection.region", "eu-west-1", *KEYS)

        assert request.method == "POST"
        assert unquote(request.path) == f"/2015-03-31/functions/{function}/invocations"
        assert request.headers["x-amz-invocation-type"] == "RequestResponse"


@pytest.mark.defect(28)
@pytest.mark.parametrize(
    ("settings", "function"),
    [
        (("account", "123456789012", "resource", "dummies"), ARN),
        (("account", "123456789012", "resource", "dummies:live"), f"{ARN}:live"),
        (("resource", "dummies:live"), "dummies:live"),
    ],
)
def test_the_arn_is_made_of_its_parts(settings: tuple[str, ...], function: str) -> None:
    """A name alone does not become an ARN."""
    parts = [f"connection.{text}" if index % 2 == 0 else text for index, text in enumerate(settings)]
    with FaultServer() as server:
        request = called(server, "connection.region", "eu-west-1", *parts, *KEYS)

        assert unquote(request.path) == f"/2015-03-31/functions/{function}/invocations"


@pytest.mark.defect(31)
@pytest.mark.parametrize("key", ["uri", "endpoint"])
def test_a_configured_endpoint_is_called(key: str) -> None:
    """It may be an emulator or a VPC endpoint."""
    with FaultServer() as server:
        client = opened(f"connection.{key}", server.url, "connection.arn", ARN, *KEYS)
        client._call("get", "T")
        client.close("T")

        assert server.executions == 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        *(("//127.0.0.1:9", "WRONG_PROTOCOL"), ("ftp://127.0.0.1:9", "WRONG_PROTOCOL")),
        *((url, "WRONG_URI") for url in ("http://u:hunter2@h.example", "http://h.example/ a", "http://h.example?x")),
    ],
)
@pytest.mark.parametrize("kind", [LambdaClient, AsyncLambdaClient])
def test_open_rejects_a_wrong_endpoint_of_the_environment(
    url: str, code: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same is true of `connection.uri`. boto3 accepts most of these URLs."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    client = kind()
    client.configure(ConfigParams.from_tuples("connection.arn", ARN, *KEYS))
    with pytest.raises(ConfigException, match=r"^AWS_ENDPOINT_URL: ") as caught:
        client.open("T")
    assert (caught.value.code, caught.value.trace_id) == (code, "T")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("arn", "endpoint"),
    [
        (ARN, "https://lambda.eu-west-1.amazonaws.com"),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:f", "https://lambda.cn-north-1.amazonaws.com.cn"),
        ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f", "https://lambda.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_endpoint_is_that_of_the_arns_region(arn: str, endpoint: str) -> None:
    """The configured region does not matter then."""
    client = opened("connection.arn", arn, "connection.region", "us-east-1", *KEYS)

    assert client._lambda.meta.endpoint_url == endpoint
    client.close("T")


@pytest.mark.parametrize(
    ("function", "region"), [(ARN, "eu-west-1"), ("dummies", "us-east-1"), ("123456789012:dummies", "us-east-1")]
)
def test_the_region_of_the_arn_takes_precedence(function: str, region: str) -> None:
    """AWS rejects a call that is signed for another region."""
    with FaultServer() as server:
        request = called(server, "connection.arn", function, "connection.region", "us-east-1", *KEYS)

        assert f"/{region}/lambda/aws4_request" in request.headers["authorization"]


def test_the_region_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 reads the same variable."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    with FaultServer() as server:
        request = called(server, "connection.arn", "dummies", *KEYS)

        assert "/ap-south-1/lambda/" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("settings", "code", "key"),
    [
        ((), "NO_CONNECTION", "connection.arn"),
        (("connection.region", "eu-west-1"), "NO_CONNECTION", "connection.arn"),
        (("connection.arn", "dummies"), "NO_REGION", "connection.region"),
        (("connection.arn", "arn:aws:s3:::bucket"), "WRONG_ARN", "connection.arn"),
        (("connection.arn", "arn:aws::us-east-1:123456789012:function:f"), "WRONG_ARN", "connection.arn"),
        (("connection.resource", "f", "connection.account", "1"), "NO_REGION", "connection.region"),
    ],
)
@pytest.mark.defect(28)
def test_open_rejects_an_incomplete_or_wrong_function(settings: tuple[str, ...], code: str, key: str) -> None:
    """The error names the setting."""
    error = open_error(*settings, *KEYS)

    assert (error.code, error.trace_id) == (code, "T")
    assert error.details["key"] == key
    assert key in error.message


# --- Credentials ---


@pytest.mark.defect(29)
@pytest.mark.parametrize(
    ("access_id", "access_key"),
    [
        ("credential.access_id", "credential.access_key"),
        ("credential.client_id", "credential.client_key"),
        ("credential.access_id", "credential.secret_key"),
        ("connection.access_id", "connection.access_key"),
    ],
)
def test_each_known_name_of_the_keys_works(access_id: str, access_key: str) -> None:
    """The configured keys take precedence over those of the environment."""
    with FaultServer() as server:
        request = called(server, "connection.arn", ARN, access_id, ACCESS_ID, access_key, ACCESS_KEY)

        scope = f"{request.headers['x-amz-date'][:8]}/eu-west-1/lambda/aws4_request"
        assert f"Credential={ACCESS_ID}/" in request.headers["authorization"]
        assert request.headers["authorization"].endswith(signature(request, ACCESS_KEY, scope))


@pytest.mark.defect(29)
@pytest.mark.parametrize(
    ("settings", "code", "key"),
    [
        (KEYS[:2], "NO_ACCESS_KEY", "credential.access_key"),
        (KEYS[2:], "NO_ACCESS_ID", "credential.access_id"),
        (("credential.session_token", SESSION_TOKEN), "NO_ACCESS_KEY", "credential.access_key"),
        ((*KEYS[:3], "hunter2\n"), "WRONG_ACCESS_KEY", "credential.access_key"),
    ],
)
def test_open_rejects_an_incomplete_credential(settings: tuple[str, ...], code: str, key: str) -> None:
    """The error names the setting and shows no value."""
    error = open_error("connection.arn", ARN, *settings)

    assert error.code == code
    assert error.details["key"] == key
    assert "hunter2" not in str(error.to_json()).lower()


@pytest.mark.defect(30)
@pytest.mark.parametrize("token", [SESSION_TOKEN, None])
def test_the_environments_keys_are_used(monkeypatch: pytest.MonkeyPatch, token: str | None) -> None:
    """AWS's credential chain decides if no keys are configured."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    with FaultServer() as server:
        request = called(server, "connection.arn", ARN)

        assert "Credential=FROMENV/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == token
        assert f"Credential={ACCESS_ID}/" in called(server, "connection.arn", ARN, *KEYS).headers["authorization"]


@pytest.mark.defect(30)
def test_a_profiles_keys_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The client uses the whole credential chain of boto3."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[work]\naws_access_key_id = FROMPROFILE\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "work")
    with FaultServer() as server:
        assert "Credential=FROMPROFILE/" in called(server, "connection.arn", ARN).headers["authorization"]


@pytest.mark.defect(30)
def test_open_raises_if_there_are_no_keys() -> None:
    """`open` raises, not the first call."""
    error = open_error("connection.arn", ARN)

    assert (error.code, error.trace_id) == ("NO_CREDENTIALS", "T")
    assert error.details["key"] == "credential.access_id"


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_ACCESS_KEY_ID": "FROMENV"},
        {"AWS_PROFILE": "unknown"},
        {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r"},
    ],
    ids=lambda value: next(iter(value)),
)
def test_open_reports_an_error_of_the_chain(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """It raises a ConfigException instead of botocore's exception."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = open_error("connection.arn", ARN)

    assert error.code == "NO_CREDENTIALS"


def use_role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sts: FaultServer) -> None:
    """Makes the chain use the keys of a role. AWS's token service gives them for a token in a file."""
    token = tmp_path / "token"
    token.write_text("the cluster's token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/caller")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


ROLE_KEYS = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>FROMROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>roles-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def test_a_roles_keys_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The chain requests them from another service of AWS."""
    with FaultServer() as sts, FaultServer() as server:
        use_role(monkeypatch, tmp_path, sts)
        sts.script(respond(200, ROLE_KEYS, content_type="text/xml"))
        request = called(server, "connection.arn", ARN)

        assert "Credential=FROMROLE/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "roles-token"


def test_open_reports_a_denied_role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error has the code of the token service."""
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>denied</Message></Error></ErrorResponse>"
    with FaultServer() as sts:
        use_role(monkeypatch, tmp_path, sts)
        sts.script(respond(403, denied, content_type="text/xml"))
        error = open_error("connection.arn", ARN)

        assert error.code == "NO_CREDENTIALS"
        assert "AccessDenied" in error.message


@pytest.mark.parametrize("program", ["/nowhere/to/be/found", "echo not-json"])
def test_open_reports_a_program_without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    """Python raises different exceptions for such programs."""
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    assert open_error("connection.arn", ARN).code == "NO_CREDENTIALS"


@pytest.mark.parametrize("setting", ["region", "endpoint_url", "defaults_mode"])
def test_a_section_in_place_of_a_value_in_awss_settings_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    """boto3 raises various exceptions for it."""
    config = tmp_path / "config"
    region = "" if setting == "region" else "region = eu-west-1\n"
    config.write_text(f"[default]\n{region}{setting} =\n  key = value\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    assert open_error("connection.arn", "orders", *KEYS).code == "WRONG_URI"


def temporary_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of keys that expire so soon that the client reads it before each call."""
    keys, config = tmp_path / "keys.json", tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = cat {keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    write_keys(keys, "first-token")
    return keys


def write_keys(path: Path, token: str) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    keys = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": token, "Expiration": soon}
    path.write_text(json.dumps(keys))


def test_renewed_keys_are_masked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A response that quotes the request is masked. The previous keys are masked as well."""
    keys = temporary_keys(monkeypatch, tmp_path)
    with FaultServer() as server:
        client = opened("connection.uri", server.url, "connection.arn", ARN)
        for token in ("first-token", "second-token", "third-token"):
            write_keys(keys, token)
            server.script(respond(403, {"Message": "no: first-token second-token third-token"}))
            message = short_message(failure(client))
            assert server.requests[-1].headers["x-amz-security-token"] == token
            assert token not in message
        client.close("T")
        assert message.endswith("no: first-token *** ***")


@pytest.mark.parametrize("left", [None, "not JSON"])
def test_a_failed_renewal_fails_the_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: str | None) -> None:
    """Temporary keys can expire while a client is open."""
    keys = temporary_keys(monkeypatch, tmp_path)
    with FaultServer() as server:
        client = opened("connection.uri", server.url, "connection.arn", ARN)
        client._call("get", "T")
        keys.write_text(left) if left else keys.unlink()
        error = failure(client)
        client.close("T")

        assert isinstance(error, ConfigException)
        assert (error.code, error.trace_id) == ("NO_CREDENTIALS", "T")
        assert server.executions == 1


@pytest.mark.defect(34)
def test_a_connection_shows_no_secret() -> None:
    """Nor does anything that `open` logs."""
    client = opened("connection.arn", ARN, *KEYS, "credential.session_token", SESSION_TOKEN)
    client.close("T")

    for shown in (str(client._connection), repr(client._connection), f"{client._connection}"):
        assert ARN in shown
        assert ACCESS_KEY not in shown
        assert SESSION_TOKEN not in shown


def test_the_session_token_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """botocore would log it at debug level."""
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server, open_client("lambda", server.url) as client:
        client.call_command("get", "T")

        assert server.requests[0].headers["x-amz-security-token"] == SESSION_TOKEN
        assert "x-amz-security-token" in caplog.text.lower()
        assert SESSION_TOKEN not in caplog.text
        assert ACCESS_KEY not in caplog.text


def test_a_secret_in_the_response_is_masked() -> None:
    """Error responses can quote the request."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(400, {"Message": f"bad token {SESSION_TOKEN}"}))
        error = failure(client)

        assert "bad token" in error.message
        assert SESSION_TOKEN not in str(error.to_json())


# --- The response ---


@pytest.mark.parametrize("body", [b"", b"null"])
def test_an_empty_or_null_response_is_none(body: bytes) -> None:
    """A function that returns None sends one of them."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(200, body))

        assert client.call_command("get", "T") is None


@pytest.mark.parametrize("value", [5, True, "abc", [1], {"deep": {"er": "ž"}}, "x" * 300_000], ids=lambda v: str(v)[:9])
def test_a_value_is_decoded(value: Any) -> None:
    """It may have any type and size."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(200, value))

        assert client.call_command("get", "T") == value


def test_connections_are_reused() -> None:
    """This is also true after an error."""
    with FaultServer() as server, open_client("lambda", server.url, retries=0) as client:
        server.script(
            respond(200, b""),
            respond(202, b""),
            respond(500, b"<html>"),
            respond(200, {"errorMessage": "no"}, headers={"X-Amz-Function-Error": "Unhandled"}),
        )
        client.call_command("get", "T")
        client.call_one_way("get", "T")
        for _ in range(2):
            failure(client)
        client.call_command("get", "T")

        assert (server.executions, server.connections) == (5, 1)


# --- One way ---


@pytest.mark.defect(22)
@pytest.mark.parametrize("method", ["call_one_way", "_call_one_way"])
@pytest.mark.parametrize("body", [b"", b"{}", b"accepted"])
def test_a_one_way_call_returns_none(method: str, body: bytes) -> None:
    """It returns when Lambda has accepted the call. The response's body does not matter."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(202, body))
        assert getattr(client, method)("get", "T", {"id": "7"}) is None

        (request,) = server.requests
        assert request.headers["x-amz-invocation-type"] == "Event"
        assert request.json() == {"id": "7", "cmd": "get", "trace_id": "T"}


@pytest.mark.defect(21)
def test_a_failed_one_way_call_raises() -> None:
    """Emulators run the function immediately, and report its error with status 202."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(202, {"errorMessage": "no"}, headers={"X-Amz-Function-Error": "Unhandled"}))
        with pytest.raises(InvocationException) as caught:
            client.call_one_way("get", "T")

        assert (caught.value.code, short_message(caught.value)) == ("FUNCTION_ERROR", "no")


@pytest.mark.parametrize(("one_way", "limit"), [(False, 6 * MIB), (True, MIB)])
def test_a_payload_has_a_limit(one_way: bool, limit: int) -> None:
    """A larger payload is not sent."""
    frame = len(json.dumps({"text": "", "cmd": "get", "trace_id": "T"}))
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.default = respond(202 if one_way else 200, b"")
        call = client.call_one_way if one_way else client._call
        call("get", "T", {"text": "x" * (limit - frame)})
        assert len(server.requests[0].body) == limit
        with pytest.raises(BadRequestException) as caught:
            call("get", "T", {"text": "x" * (limit - frame + 1)})

        assert (caught.value.code, caught.value.status, caught.value.trace_id) == ("PAYLOAD_TOO_LARGE", 413, "T")
        assert server.executions == 1


@pytest.mark.parametrize("kind", ["DryRun", "event", "", None])
def test_an_unknown_invocation_type_is_rejected(kind: Any) -> None:
    """Nothing is sent."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        with pytest.raises(BadRequestException) as caught:
            client._invoke(kind, "get", "T", {})

        assert (caught.value.code, caught.value.trace_id) == ("WRONG_INVOCATION_TYPE", "T")
        assert server.connections == 0


# --- Errors ---


@pytest.mark.defect(21)
@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    ("body", "exception", "code", "error_status", "message"),
    [
        (
            {"errorMessage": "X not found", "errorType": "NotFoundException"},
            NotFoundException,
            "FUNCTION_ERROR",
            404,
            "X not found",
        ),
        (
            {
                "errorMessage": json.dumps({"code": "NO_X", "category": "NotFound", "status": 404, "message": "m"}),
                "errorType": "Exception",
            },
            NotFoundException,
            "NO_X",
            404,
            "m",
        ),
        (
            {"errorMessage": "boom", "errorType": "ValueError", "stackTrace": ["a\n", "b\n"]},
            InvocationException,
            "FUNCTION_ERROR",
            500,
            "boom",
        ),
        (
            {"errorMessage": "boom", "errorType": "Error", "trace": ["a", "b"]},
            InvocationException,
            "FUNCTION_ERROR",
            500,
            "boom",
        ),
        (
            b"Task timed out after 3.00 seconds",
            InvocationException,
            "FUNCTION_ERROR",
            500,
            "Task timed out after 3.00 seconds",
        ),
        (b"", InvocationException, "FUNCTION_ERROR", 500, None),
        (b"[1]", InvocationException, "FUNCTION_ERROR", 500, None),
        (b"\xff\xfe", InvocationException, "FUNCTION_ERROR", 500, None),
    ],
    ids=["toolkit", "toolkit as JSON", "python", "node", "timed out", "empty", "list", "undecodable"],
)
def test_a_functions_error_is_raised(
    status: int, body: Any, exception: type[ApplicationException], code: str, error_status: int, message: str | None
) -> None:
    """It is not returned. The call is not retried, because the function ran."""
    with FaultServer() as server, open_client("lambda", server.url, idempotent=True) as client:
        server.script(respond(status, body, headers={"X-Amz-Function-Error": "Unhandled"}))
        error = failure(client)

        assert type(error) is exception
        assert (error.code, error.status, error.trace_id) == (code, error_status, "T")
        assert message in (None, short_message(error))
        if isinstance(body, dict) and "ValueError" in body.values():
            assert error.details["error_type"] == "ValueError"
            assert error.details["stack_trace"] == "a\nb"
        assert server.executions == 1


NEVER, IF_IDEMPOTENT, ALWAYS = (False, False), (False, True), (True, True)


@pytest.mark.defect(26)
@pytest.mark.parametrize("idempotent", [False, True], ids=["once", "idempotent"])
@pytest.mark.parametrize(
    ("name", "status", "retried", "exception"),
    [
        ("TooManyRequestsException", 429, ALWAYS, InvocationException),
        ("EC2ThrottledException", 502, ALWAYS, InvocationException),
        ("ResourceNotReadyException", 502, ALWAYS, InvocationException),
        ("ResourceConflictException", 409, ALWAYS, ConflictException),
        ("SnapStartNotReadyException", 409, ALWAYS, ConflictException),
        ("ENINotReadyException", 502, ALWAYS, InvocationException),
        ("CodeArtifactUserPendingException", 409, ALWAYS, ConflictException),
        ("ThrottlingException", 400, ALWAYS, BadRequestException),
        ("Throttling", 400, ALWAYS, BadRequestException),
        ("ServiceException", 500, IF_IDEMPOTENT, InvocationException),
        ("EC2UnexpectedException", 502, IF_IDEMPOTENT, InvocationException),
        ("ResourceNotFoundException", 404, NEVER, NotFoundException),
        ("AccessDeniedException", 403, NEVER, UnauthorizedException),
        ("InvalidRequestContentException", 400, NEVER, BadRequestException),
        ("RequestTooLargeException", 413, NEVER, BadRequestException),
    ],
)
def test_each_error_of_aws_has_its_exception(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    retried: tuple[bool, bool],
    exception: type[ApplicationException],
    idempotent: bool,
) -> None:
    """A header has the name of the error. By default, only calls that were not started are retried."""
    monkeypatch.setattr("pip_services4_serverless._rules.attempts.FIRST_BACKOFF", 0.001)
    with FaultServer() as server, open_client("lambda", server.url, retries=1, idempotent=idempotent) as client:
        server.default = respond(status, {"Message": "the reason"}, headers={"x-amzn-errortype": f"{name}:http://x/"})
        error = failure(client)

        assert type(error) is exception
        assert (error.status, error.trace_id, error.details["error_type"]) == (status, "T", name)
        assert "the reason" in error.message
        assert server.executions == 1 + retried[idempotent]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "why"}, '{"error": "why"}'),
        ({"Message": "", "error": "why"}, '{"Message": "", "error": "why"}'),
        (
            {"errorType": "Runtime.ExitError", "errorMessage": "exit status 3"},
            '{"errorType": "Runtime.ExitError", "errorMessage": "exit status 3"}',
        ),
        ("why", '"why"'),
        (b"why", "why"),
        ({"Type": "User", "message": "why"}, "why"),
        ({"Type": "User", "Message": "why"}, "why"),
    ],
    ids=repr,
)
def test_the_text_of_an_unknown_error_body_is_kept(body: Any, text: str) -> None:
    """The body is quoted if it has no text in a known field, as from an emulator or a proxy."""
    with FaultServer() as server:
        server.default = respond(502, body)
        client = opened("connection.uri", server.url, "connection.arn", ARN, *KEYS)
        error = failure(client)
        client.close("T")

    assert (error.code, short_message(error)) == ("CALL_FAILED", f"The response has status 502: {text}")


@pytest.mark.defect(26)
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[1]", b'"text"', b"5", b"null", b"<html>", b'{"Message": {"deep": 1}}', b"[" * 100_000],
    ids=lambda body: repr(body[:8]),
)
@pytest.mark.parametrize("headers", [{}, {"x-amzn-errortype": "ServiceException"}], ids=["without a name", "named"])
def test_a_strange_error_body_does_not_hide_the_status(body: bytes, headers: dict[str, str]) -> None:
    """For most of these bodies, botocore's parser would raise an exception."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(500, body, headers=headers))
        error = failure(client)

        assert type(error) is InvocationException
        assert (error.code, error.status, error.trace_id) == ("CALL_FAILED", 500, "T")
        assert server.executions == 1


# --- The client of AWS ---


@pytest.mark.defect(23)
@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_the_retries_of_boto3_are_disabled(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Only the client retries, whatever the environment variables are."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.default = respond(500)
        failure(client)
        server.script(close_after_read())
        failure(client)

        assert server.executions == 2


def test_open_and_close_set_the_protected_fields() -> None:
    """`_lambda` and `_opened` are described on the reference page."""
    client = LambdaClient()
    assert (client._lambda, client._opened) == (None, False)

    client.configure(config_for("lambda", "http://127.0.0.1:9"))
    client.open("T")
    assert client._opened
    assert client._lambda.meta.service_model.service_name == "lambda"

    client.close("T")
    assert (client._lambda, client._opened) == (None, False)


def stream(body: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(body), len(body))


def test_botocores_stubber_works() -> None:
    """Its responses have no status and no metadata. Nothing is sent over the network."""
    with FaultServer() as server, open_client("lambda", server.url) as client, Stubber(client._lambda) as stubber:
        expected = {"FunctionName": ARN, "InvocationType": "RequestResponse", "Payload": ANY}
        stubber.add_response("invoke", {"Payload": stream(b'{"id": "7"}')}, expected)
        stubber.add_response("invoke", {"StatusCode": 200, "Payload": stream(b"null")}, expected)
        stubber.add_response("invoke", {}, expected)
        stubber.add_response("invoke", {"StatusCode": 202}, {**expected, "InvocationType": "Event"})

        assert client.call_command("get", "T") == {"id": "7"}
        assert client.call_command("get", "T") is None
        assert client.call_command("get", "T") is None
        assert client.call_one_way("get", "T") is None
        stubber.assert_no_pending_responses()
        assert server.connections == 0


def test_errors_of_botocores_stubber_are_raised() -> None:
    """They are errors of the function and of AWS."""
    with FaultServer() as server, open_client("lambda", server.url) as client, Stubber(client._lambda) as stubber:
        body = stream(b'{"errorMessage": "no", "errorType": "NotFoundException"}')
        stubber.add_response("invoke", {"FunctionError": "Unhandled", "Payload": body})
        stubber.add_client_error("invoke", "ResourceNotFoundException", "no such function", 404)

        first, second = failure(client), failure(client)
        assert (type(first), first.code, first.message) == (NotFoundException, "FUNCTION_ERROR", "no")
        assert (type(second), second.code, second.status) == (NotFoundException, "NOT_FOUND", 404)


@pytest.mark.parametrize("response", [{}, {"Error": {}}, {"Error": {"Code": "Odd", "Message": None}}], ids=str)
def test_an_incomplete_client_error_is_raised_as_call_failed(response: Any) -> None:
    """Tools that hook into the client may raise one."""

    def fail(**_: Any) -> None:
        raise ClientError(response, "Invoke")

    with FaultServer() as server, open_client("lambda", server.url) as client:
        client._lambda.meta.events.register("before-send.lambda.Invoke", fail)
        error = failure(client)

        assert (type(error), error.code, error.status) == (InvocationException, "CALL_FAILED", 500)
        assert server.connections == 0
