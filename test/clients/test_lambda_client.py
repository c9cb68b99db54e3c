"""What is the Lambda client's own: its request on the wire, regions, credentials, and AWS's ways to say no."""

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

from pip_services4_serverless.clients import LambdaClient

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


def refused(*settings: str) -> ConfigException:
    """The exception that opening ends with."""
    with pytest.raises(ConfigException) as caught:
        opened(*settings)
    return caught.value


# --- The request ---


def signature(request: Request, secret: str, scope: str) -> str:
    """AWS's Signature Version 4 of a request, by the book."""
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
    """For the function's region, over what really arrived, the session token included."""
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
def test_a_function_is_called_by_the_name_that_it_was_given(function: str) -> None:
    """ARN, partial ARN or name, with its alias or version."""
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
def test_a_function_is_called_by_its_parts(settings: tuple[str, ...], function: str) -> None:
    """They are composed to its ARN; a name alone stays one."""
    parts = [f"connection.{text}" if index % 2 == 0 else text for index, text in enumerate(settings)]
    with FaultServer() as server:
        request = called(server, "connection.region", "eu-west-1", *parts, *KEYS)

        assert unquote(request.path) == f"/2015-03-31/functions/{function}/invocations"


@pytest.mark.defect(31)
@pytest.mark.parametrize("key", ["uri", "endpoint"])
def test_another_endpoint_is_called(key: str) -> None:
    """An emulator's or a VPC endpoint's."""
    with FaultServer() as server:
        client = opened(f"connection.{key}", server.url, "connection.arn", ARN, *KEYS)
        client._call("get", "T")
        client.close("T")

        assert server.executions == 1


@pytest.mark.parametrize(
    ("arn", "endpoint"),
    [
        (ARN, "https://lambda.eu-west-1.amazonaws.com"),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:f", "https://lambda.cn-north-1.amazonaws.com.cn"),
        ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f", "https://lambda.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_endpoint_is_that_of_the_arns_region(arn: str, endpoint: str) -> None:
    """Whatever region is configured beside it."""
    client = opened("connection.arn", arn, "connection.region", "us-east-1", *KEYS)

    assert client._lambda.meta.endpoint_url == endpoint
    client.close("T")


@pytest.mark.parametrize(
    ("function", "region"), [(ARN, "eu-west-1"), ("dummies", "us-east-1"), ("123456789012:dummies", "us-east-1")]
)
def test_the_region_is_the_arns_else_the_configured_one(function: str, region: str) -> None:
    """A call signed for another region is refused by AWS."""
    with FaultServer() as server:
        request = called(server, "connection.arn", function, "connection.region", "us-east-1", *KEYS)

        assert f"/{region}/lambda/aws4_request" in request.headers["authorization"]


def test_the_region_may_be_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere in boto3."""
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
def test_what_names_no_function_is_refused(settings: tuple[str, ...], code: str, key: str) -> None:
    """When the client opens, naming the setting."""
    error = refused(*settings, *KEYS)

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
def test_the_keys_may_be_called(access_id: str, access_key: str) -> None:
    """By each of the names that are in use; they go before the environment's."""
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
def test_half_a_credential_is_refused(settings: tuple[str, ...], code: str, key: str) -> None:
    """When the client opens, naming the setting and showing no value."""
    error = refused("connection.arn", ARN, *settings)

    assert error.code == code
    assert error.details["key"] == key
    assert "hunter2" not in str(error.to_json()).lower()


@pytest.mark.defect(30)
@pytest.mark.parametrize("token", [SESSION_TOKEN, None])
def test_the_environments_keys_are_used(monkeypatch: pytest.MonkeyPatch, token: str | None) -> None:
    """Where none are configured, AWS's own chain decides."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENTS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    with FaultServer() as server:
        request = called(server, "connection.arn", ARN)

        assert "Credential=ENVIRONMENTS/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == token
        assert f"Credential={ACCESS_ID}/" in called(server, "connection.arn", ARN, *KEYS).headers["authorization"]


@pytest.mark.defect(30)
def test_a_profiles_keys_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The chain is boto3's whole one."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[work]\naws_access_key_id = PROFILES\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "work")
    with FaultServer() as server:
        assert "Credential=PROFILES/" in called(server, "connection.arn", ARN).headers["authorization"]


@pytest.mark.defect(30)
def test_no_keys_at_all_are_refused() -> None:
    """When the client opens, not at the first call."""
    error = refused("connection.arn", ARN)

    assert (error.code, error.trace_id) == ("NO_CREDENTIALS", "T")
    assert error.details["key"] == "credential.access_id"


@pytest.mark.parametrize(
    "environment",
    [{"AWS_ACCESS_KEY_ID": "ENVIRONMENTS"}, {"AWS_PROFILE": "nobodys"}, {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}],
    ids=lambda value: next(iter(value)),
)
def test_a_chain_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """As a setting that is wrong, and not as botocore's own exception."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = refused("connection.arn", ARN)

    assert error.code == "NO_CREDENTIALS"


def role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sts: FaultServer) -> None:
    """Keys of a role, that AWS's token service gives for a token in a file."""
    token = tmp_path / "token"
    token.write_text("the cluster's word")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/caller")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


GIVEN = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ROLES</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>roles-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def test_a_roles_keys_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For which the chain asks another service of AWS."""
    with FaultServer() as sts, FaultServer() as server:
        role(monkeypatch, tmp_path, sts)
        sts.script(respond(200, GIVEN, content_type="text/xml"))
        request = called(server, "connection.arn", ARN)

        assert "Credential=ROLES/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "roles-token"


def test_a_role_that_is_denied_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the service that is asked for its keys."""
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"
    with FaultServer() as sts:
        role(monkeypatch, tmp_path, sts)
        sts.script(respond(403, denied, content_type="text/xml"))
        error = refused("connection.arn", ARN)

        assert error.code == "NO_CREDENTIALS"
        assert "AccessDenied" in error.message


@pytest.mark.parametrize("program", ["/nowhere/to/be/found", "echo no-json"])
def test_a_program_that_gives_no_keys_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    """Whatever Python makes of that."""
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    assert refused("connection.arn", ARN).code == "NO_CREDENTIALS"


def temporary_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of keys that end so soon that it is read before each call."""
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
    """In an answer that shows what it was sent, and with them those just before."""
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


@pytest.mark.parametrize("left", [None, "no JSON"])
def test_keys_not_renewed_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: str | None) -> None:
    """Temporary keys end while a client is open, and with them its calls."""
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
    """Neither does the log of opening."""
    client = opened("connection.arn", ARN, *KEYS, "credential.session_token", SESSION_TOKEN)
    client.close("T")

    for shown in (str(client._connection), repr(client._connection), f"{client._connection}"):
        assert ARN in shown
        assert ACCESS_KEY not in shown
        assert SESSION_TOKEN not in shown


def test_the_session_token_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """botocore logs it at debug level."""
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server, open_client("lambda", server.url) as client:
        client.call_command("get", "T")

        assert server.requests[0].headers["x-amz-security-token"] == SESSION_TOKEN
        assert "x-amz-security-token" in caplog.text.lower()
        assert SESSION_TOKEN not in caplog.text
        assert ACCESS_KEY not in caplog.text


def test_a_secret_that_comes_back_is_masked() -> None:
    """Error answers quote what they were sent."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(400, {"Message": f"bad token {SESSION_TOKEN}"}))
        error = failure(client)

        assert "bad token" in error.message
        assert SESSION_TOKEN not in str(error.to_json())


# --- The answer ---


@pytest.mark.parametrize("body", [b"", b"null"])
def test_nothing_is_none(body: bytes) -> None:
    """A function that returns None answers with either."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(200, body))

        assert client.call_command("get", "T") is None


@pytest.mark.parametrize("value", [5, True, "abc", [1], {"deep": {"er": "ž"}}, "x" * 300_000], ids=lambda v: str(v)[:9])
def test_a_value_is_read(value: Any) -> None:
    """Of every kind and size."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(200, value))

        assert client.call_command("get", "T") == value


def test_connections_are_used_again() -> None:
    """A call does not pay for connecting each time, nor after an error."""
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
    """As soon as Lambda has taken it, whatever its answer holds."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(202, body))
        assert getattr(client, method)("get", "T", {"id": "7"}) is None

        (request,) = server.requests
        assert request.headers["x-amz-invocation-type"] == "Event"
        assert request.json() == {"id": "7", "cmd": "get", "trace_id": "T"}


@pytest.mark.defect(21)
def test_a_one_way_call_that_failed_is_an_error() -> None:
    """Emulators run it at once, and say so with a 202."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(202, {"errorMessage": "no"}, headers={"X-Amz-Function-Error": "Unhandled"}))
        with pytest.raises(InvocationException) as caught:
            client.call_one_way("get", "T")

        assert (caught.value.code, short_message(caught.value)) == ("FUNCTION_ERROR", "no")


@pytest.mark.parametrize(("one_way", "limit"), [(False, 6 * MIB), (True, MIB)])
def test_a_payload_has_a_limit(one_way: bool, limit: int) -> None:
    """At it the call is made, over it nothing is sent."""
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
def test_an_invocation_type_is_one_of_two(kind: Any) -> None:
    """Another is refused before anything is sent."""
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
    """And never returned, nor sent again: the function ran."""
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
    ("name", "status", "again", "exception"),
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
def test_an_error_of_aws_has_its_exception(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    again: tuple[bool, bool],
    exception: type[ApplicationException],
    idempotent: bool,
) -> None:
    """It is named by a header; by default only what was not started is sent again."""
    monkeypatch.setattr("pip_services4_serverless._rules.attempts.FIRST_BACKOFF", 0.001)
    with FaultServer() as server, open_client("lambda", server.url, retries=1, idempotent=idempotent) as client:
        server.default = respond(status, {"Message": "it says why"}, headers={"x-amzn-errortype": f"{name}:http://x/"})
        error = failure(client)

        assert type(error) is exception
        assert (error.status, error.trace_id, error.details["error_type"]) == (status, "T", name)
        assert "it says why" in error.message
        assert server.executions == 1 + again[idempotent]


@pytest.mark.parametrize(
    ("body", "said"),
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
def test_the_words_of_any_error_body_are_kept(body: Any, said: str) -> None:
    """An emulator's too, and those of a proxy before Lambda: the body is quoted where no known field has any."""
    with FaultServer() as server:
        server.default = respond(502, body)
        client = opened("connection.uri", server.url, "connection.arn", ARN, *KEYS)
        error = failure(client)
        client.close("T")

    assert (error.code, short_message(error)) == ("CALL_FAILED", f"The response has status 502: {said}")


@pytest.mark.defect(26)
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[1]", b'"text"', b"5", b"null", b"<html>", b'{"Message": {"deep": 1}}', b"[" * 100_000],
    ids=lambda body: repr(body[:8]),
)
@pytest.mark.parametrize("headers", [{}, {"x-amzn-errortype": "ServiceException"}], ids=["nameless", "named"])
def test_an_error_body_of_any_kind_leaves_the_status(body: bytes, headers: dict[str, str]) -> None:
    """botocore's parser alone would raise its own on most of them."""
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(respond(500, body, headers=headers))
        error = failure(client)

        assert type(error) is InvocationException
        assert (error.code, error.status, error.trace_id) == ("CALL_FAILED", 500, "T")
        assert server.executions == 1


# --- The client of AWS ---


@pytest.mark.defect(23)
@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_aws_own_retries_are_off(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Whatever the environment says: one loop decides what is sent again."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.default = respond(500)
        failure(client)
        server.script(close_after_read())
        failure(client)

        assert server.executions == 2


def test_the_fields_follow_open_and_close() -> None:
    """`_lambda` and `_opened`, as on the reference page."""
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
    """Its answers lack status and metadata; nothing goes over the network."""
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


def test_botocores_stubbed_errors_are_errors() -> None:
    """Of the function and of AWS."""
    with FaultServer() as server, open_client("lambda", server.url) as client, Stubber(client._lambda) as stubber:
        body = stream(b'{"errorMessage": "no", "errorType": "NotFoundException"}')
        stubber.add_response("invoke", {"FunctionError": "Unhandled", "Payload": body})
        stubber.add_client_error("invoke", "ResourceNotFoundException", "no such function", 404)

        first, second = failure(client), failure(client)
        assert (type(first), first.code, first.message) == (NotFoundException, "FUNCTION_ERROR", "no")
        assert (type(second), second.code, second.status) == (NotFoundException, "NOT_FOUND", 404)


@pytest.mark.parametrize("response", [{}, {"Error": {}}, {"Error": {"Code": "Odd", "Message": None}}], ids=str)
def test_an_error_of_aws_without_metadata_is_an_error(response: Any) -> None:
    """Tools that hook the client raise what they like."""

    def fail(**_: Any) -> None:
        raise ClientError(response, "Invoke")

    with FaultServer() as server, open_client("lambda", server.url) as client:
        client._lambda.meta.events.register("before-send.lambda.Invoke", fail)
        error = failure(client)

        assert (type(error), error.code, error.status) == (InvocationException, "CALL_FAILED", 500)
        assert server.connections == 0
