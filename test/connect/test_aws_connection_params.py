"""The Lambda function of a connection, and its AWS keys."""

from __future__ import annotations

import contextlib
import json
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from support.clients import ACCESS_ID, ACCESS_KEY, SESSION_TOKEN

from pip_services4_serverless.connect import AwsConnectionParams

ACCOUNT = "123456789012"
ARN = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:orders"


def valid(*tuples: Any) -> AwsConnectionParams:
    """Parameters that have been validated."""
    params = AwsConnectionParams.from_tuples(*tuples)
    params.validate("T")
    return params


def rejected(*tuples: Any) -> ConfigException:
    """The error for invalid parameters."""
    with pytest.raises(ConfigException) as caught:
        valid(*tuples)
    assert caught.value.trace_id == "T"
    assert caught.value.message.startswith(f"{caught.value.details['key']}: ")
    return caught.value


# --- ARNs ---


@pytest.mark.defect(28)
@pytest.mark.parametrize(
    ("arn", "partition", "region", "resource"),
    [
        (ARN, "aws", "eu-west-1", "orders"),
        (f"{ARN}:live", "aws", "eu-west-1", "orders:live"),
        (f"{ARN}:42", "aws", "eu-west-1", "orders:42"),
        (f"{ARN}:$LATEST", "aws", "eu-west-1", "orders:$LATEST"),
        (f"{ARN}:$LATEST.PUBLISHED", "aws", "eu-west-1", "orders:$LATEST.PUBLISHED"),
        (f"arn:aws-cn:lambda:cn-north-1:{ACCOUNT}:function:o", "aws-cn", "cn-north-1", "o"),
        (f"arn:aws-us-gov:lambda:us-gov-west-1:{ACCOUNT}:function:o", "aws-us-gov", "us-gov-west-1", "o"),
        (f"arn:aws-iso:lambda:us-iso-east-1:{ACCOUNT}:function:o", "aws-iso", "us-iso-east-1", "o"),
        (f"arn:aws-iso-b:lambda:us-isob-east-1:{ACCOUNT}:function:o", "aws-iso-b", "us-isob-east-1", "o"),
        (f"arn:aws-eusc:lambda:eusc-de-east-1:{ACCOUNT}:function:o", "aws-eusc", "eusc-de-east-1", "o"),
        (f"{ARN[:-6]}{'A-b_9' * 12}", "aws", "eu-west-1", "A-b_9" * 12),
    ],
)
def test_a_complete_arn_is_not_changed(arn: str, partition: str, region: str, resource: str) -> None:
    """The ARN may have an alias or a version. The getters return its parts."""
    params = valid("arn", arn, "region", "us-east-1", "partition", "other")

    assert params.get_arn() == arn
    assert (params.get_partition(), params.get_service(), params.get_region()) == (partition, "lambda", region)
    assert (params.get_account(), params.get_resource_type(), params.get_resource()) == (ACCOUNT, "function", resource)


@pytest.mark.defect(27)
@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("orders", "us-east-1"),
        ("orders:live", "us-east-1"),
        ("orders:7", "us-east-1"),
        ("orders:$LATEST", "us-east-1"),
        ("function:orders", "us-east-1"),
        (f"{ACCOUNT}:function:orders", "us-east-1"),
        (f"{ACCOUNT}:function:orders:live", "us-east-1"),
        (f"{ACCOUNT}:orders", "us-east-1"),
        (f"eu-west-1:{ACCOUNT}:function:orders", "eu-west-1"),
    ],
)
def test_a_name_or_a_partial_arn_is_not_changed(name: str, region: str) -> None:
    """Lambda adds the rest. The region of a partial ARN overrides the configured region."""
    params = valid("arn", name, "region", "us-east-1")

    assert (params.get_arn(), params.get_region()) == (name, region)
    assert (params.get_partition(), params.get_service(), params.get_resource_type()) == ("aws", "lambda", "function")


@pytest.mark.parametrize(
    ("name", "account", "resource"),
    [
        ("orders", None, "orders"),
        ("orders:live", None, "orders:live"),
        (f"{ACCOUNT}:function:orders:live", ACCOUNT, "orders:live"),
        (f"eu-west-1:{ACCOUNT}:orders", ACCOUNT, "orders"),
    ],
)
def test_the_parts_of_a_partial_arn_can_be_read(name: str, account: str | None, resource: str) -> None:
    """The getters work as for a complete ARN."""
    params = valid("arn", name)

    assert (params.get_account(), params.get_resource()) == (account, resource)


@pytest.mark.defect(28)
@pytest.mark.parametrize(
    ("tuples", "arn"),
    [
        (("region", "eu-west-1", "account", ACCOUNT, "resource", "orders"), ARN),
        (("region", "eu-west-1", "account", ACCOUNT, "resource", "orders:live"), f"{ARN}:live"),
        (
            ("partition", "aws-cn", "region", "cn-north-1", "account", ACCOUNT, "resource", "o"),
            f"arn:aws-cn:lambda:cn-north-1:{ACCOUNT}:function:o",
        ),
        (
            (
                "service",
                "lambda",
                "resource_type",
                "function",
                "region",
                "eu-west-1",
                "account",
                ACCOUNT,
                "resource",
                "orders",
            ),
            ARN,
        ),
        (("service", "", "partition", "", "region", "eu-west-1", "account", ACCOUNT, "resource", "orders"), ARN),
        (("resource", "orders"), "orders"),
        (("region", "eu-west-1", "resource", "orders:live"), "orders:live"),
        (("arn", ARN, "account", "999999999999", "resource", "other"), ARN),
    ],
)
def test_an_arn_is_composed(tuples: tuple[str, ...], arn: str) -> None:
    """Parts that are not set have default values. A complete ARN overrides its parts."""
    assert valid(*tuples).get_arn() == arn


def test_an_arn_composed_of_another_arns_parts_is_equal() -> None:
    """The setters accept what the getters return."""
    first = valid("arn", f"{ARN}:live")
    second = AwsConnectionParams()
    for part in ("partition", "service", "region", "account", "resource_type", "resource"):
        getattr(second, f"set_{part}")(getattr(first, f"get_{part}")())

    assert second.get_arn() == first.get_arn()


@pytest.mark.parametrize(
    ("tuples", "code", "key"),
    [
        ((), "NO_CONNECTION", "connection.arn"),
        (("arn", ""), "NO_CONNECTION", "connection.arn"),
        (("region", "eu-west-1"), "NO_CONNECTION", "connection.arn"),
        (("region", "eu-west-1", "account", ACCOUNT), "NO_CONNECTION", "connection.arn"),
        (("account", ACCOUNT, "resource", "orders"), "NO_REGION", "connection.region"),
        (("resource", "orders", "region", "EU West"), "NO_REGION", "connection.region"),
        (("arn", "orders", "region", "eu-west-1\n"), "NO_REGION", "connection.region"),
        (("arn", "orders", "region", "evil.com/"), "NO_REGION", "connection.region"),
        (("arn", ARN, "uri", "ftp://h"), "WRONG_PROTOCOL", "connection.uri"),
        (("arn", ARN, "uri", "localhost:4566"), "WRONG_PROTOCOL", "connection.uri"),
        (("arn", ARN, "endpoint", "http://h:x"), "WRONG_URI", "connection.endpoint"),
        (("arn", ARN, "endpoint", "http://h:0"), "WRONG_URI", "connection.endpoint"),
        (("arn", ARN, "endpoint", "http://user:p@h"), "WRONG_URI", "connection.endpoint"),
        (("arn", ARN, "uri", "http://h?a=b"), "WRONG_URI", "connection.uri"),
        (("arn", ARN, "endpoint", "http://h/#part"), "WRONG_URI", "connection.endpoint"),
    ],
)
@pytest.mark.defect(28)
def test_an_invalid_connection_is_rejected(tuples: tuple[str, ...], code: str, key: str) -> None:
    """The error names the key."""
    error = rejected(*tuples)

    assert (error.code, error.details["key"]) == (code, key)


@pytest.mark.defect(28)
@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:::bucket",
        "arn:aws:s3:::bucket/key",
        f"arn:aws:sqs:eu-west-1:{ACCOUNT}:queue",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:layer:orders:1",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:event-source-mapping:x",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}",
        f"arn:aws:lambda::{ACCOUNT}:function:orders",
        "arn:aws:lambda:eu-west-1::function:orders",
        "arn:aws:lambda:eu-west-1:12345678901:function:orders",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}0:function:orders",
        f"arn:aws::eu-west-1:{ACCOUNT}:function:orders",
        f"arn::lambda:eu-west-1:{ACCOUNT}:function:orders",
        f"arn:azure:lambda:eu-west-1:{ACCOUNT}:function:orders",
        f"arn:aws:lambda:evil.com/:{ACCOUNT}:function:orders",
        f"ARN:aws:lambda:eu-west-1:{ACCOUNT}:function:orders",
        f"{ARN}:live:more",
        f"{ARN}:",
        f"{ARN}/live",
        f" {ARN}",
        f"{ARN}\n",
        f"{ACCOUNT}:layer:orders:1",
        "123:function:orders",
        "orders/live",
        "orders live",
        "orders:",
        ":orders",
        "öders",
        "$LATEST",
        "https://h/f",
        "a" * 141,
    ],
)
def test_an_arn_that_is_not_of_a_function_is_rejected(arn: str) -> None:
    """It is rejected before a request is sent to Lambda."""
    error = rejected("arn", arn)

    assert (error.code, error.details["key"]) == ("WRONG_ARN", "connection.arn")
    assert len(error.message) < 300


@pytest.mark.parametrize(
    "arn", [f"arn:aws:lambda:eu-west-٣:{ACCOUNT}:function:o", f"arn:aws:lambda:eu-west-1:{'٣' * 12}:function:o"]
)
def test_digits_that_are_not_ascii_are_rejected(arn: str) -> None:
    """The region becomes a part of a host name, and the account a part of a path."""
    assert rejected("arn", arn).code == "WRONG_ARN"


@pytest.mark.parametrize(
    ("key", "value"),
    [("service", "s3"), ("resource_type", "layer"), ("partition", "azure"), ("account", "12"), ("resource", "a b")],
)
@pytest.mark.defect(28)
def test_an_arn_with_an_invalid_part_is_rejected(key: str, value: str) -> None:
    """It would not be the ARN of a function."""
    parts = {"region": "eu-west-1", "account": ACCOUNT, "resource": "orders", key: value}

    assert rejected(*(item for pair in parts.items() for item in pair)).code == "WRONG_ARN"


@pytest.mark.parametrize(
    ("key", "value"), [("service", "s3"), ("partition", "azure"), ("account", "12"), ("region", "mars")]
)
def test_the_error_names_the_invalid_part(key: str, value: str) -> None:
    """The user did not write the composed ARN, so its name would not help."""
    parts = {"region": "eu-west-1", "account": ACCOUNT, "resource": "orders", key: value}

    assert rejected(*(item for pair in parts.items() for item in pair)).details["key"] == f"connection.{key}"


# --- Getters and setters ---


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("partition", "aws"),
        ("service", "lambda"),
        ("region", None),
        ("account", None),
        ("resource_type", "function"),
        ("resource", None),
        ("arn", None),
        ("access_id", None),
        ("access_key", None),
    ],
)
def test_a_parameter_can_be_set_and_read(name: str, default: str | None) -> None:
    """Each parameter has its own key. An empty value means the default."""
    params = AwsConnectionParams()
    get, put = getattr(params, f"get_{name}"), getattr(params, f"set_{name}")
    assert get() == default

    put("value")
    assert (get(), params.get(name)) == ("value", "value")

    for empty in ("", None):
        put(empty)
        assert get() == default


@pytest.mark.parametrize(
    ("arn", "kind", "resource"),
    [
        ("arn:aws:s3:::bucket", None, "bucket"),
        ("arn:aws:dynamodb:eu-west-1:1:table/orders", "table", "orders"),
        ("arn:aws:sns:eu-west-1:1:topic:orders", "topic", "orders"),
        ("arn:aws:lambda:eu-west-1:1:", None, None),
        ("no/arn", "function", None),
    ],
)
def test_the_parts_of_any_arn_can_be_read(arn: str, kind: str | None, resource: str | None) -> None:
    """The getters work before validation, and do not raise an IndexError."""
    params = AwsConnectionParams.from_tuples("arn", arn)

    assert (params.get_resource_type(), params.get_resource()) == (kind, resource)


@pytest.mark.defect(31)
@pytest.mark.parametrize(
    ("tuples", "endpoint"),
    [
        ((), None),
        (("uri", "http://localhost:4566"), "http://localhost:4566"),
        (("endpoint", "https://vpce-1.eu-west-1.vpce.amazonaws.com"), "https://vpce-1.eu-west-1.vpce.amazonaws.com"),
        (("uri", "http://[::1]:4566", "endpoint", "http://other"), "http://[::1]:4566"),
        (("uri", "", "endpoint", "http://other"), "http://other"),
    ],
)
def test_an_endpoint_may_be_set(tuples: tuple[str, ...], endpoint: str | None) -> None:
    """It has two keys, `uri` and `endpoint`."""
    assert valid("arn", ARN, *tuples).get_endpoint() == endpoint


# --- Keys ---


@pytest.mark.defect(29)
@pytest.mark.parametrize("id_name", ["access_id", "client_id"])
@pytest.mark.parametrize("key_name", ["access_key", "client_key", "secret_key"])
def test_keys_have_several_names(id_name: str, key_name: str) -> None:
    """All names that pip-services documents are accepted."""
    params = valid("arn", ARN, id_name, ACCESS_ID, key_name, ACCESS_KEY)

    assert (params.get_access_id(), params.get_access_key()) == (ACCESS_ID, ACCESS_KEY)


@pytest.mark.defect(30)
def test_keys_may_be_missing_or_temporary() -> None:
    """Without keys, boto3 finds them itself. A session token needs keys."""
    without = valid("arn", ARN, "access_id", "", "access_key", None, "session_token", "")
    temporary = valid("arn", ARN, "access_id", ACCESS_ID, "access_key", ACCESS_KEY, "session_token", SESSION_TOKEN)

    assert (without.get_access_id(), without.get_access_key(), without.get_session_token()) == (None, None, None)
    assert temporary.get_session_token() == SESSION_TOKEN


@pytest.mark.defect(29)
@pytest.mark.defect(34)
@pytest.mark.parametrize(
    ("tuples", "code", "key"),
    [
        (("access_id", ACCESS_ID), "NO_ACCESS_KEY", "credential.access_key"),
        (("client_id", ACCESS_ID, "secret_key", ""), "NO_ACCESS_KEY", "credential.access_key"),
        (("session_token", SESSION_TOKEN), "NO_ACCESS_KEY", "credential.access_key"),
        (("access_id", ACCESS_ID, "session_token", SESSION_TOKEN), "NO_ACCESS_KEY", "credential.access_key"),
        (("access_key", ACCESS_KEY), "NO_ACCESS_ID", "credential.access_id"),
        (("secret_key", ACCESS_KEY, "session_token", SESSION_TOKEN), "NO_ACCESS_ID", "credential.access_id"),
        (("access_id", f"{ACCESS_ID}\n", "access_key", ACCESS_KEY), "WRONG_ACCESS_KEY", "credential.access_id"),
        (("access_id", ACCESS_ID, "access_key", f"{ACCESS_KEY} "), "WRONG_ACCESS_KEY", "credential.access_key"),
        (("access_id", ACCESS_ID, "client_key", f"\t{ACCESS_KEY}"), "WRONG_ACCESS_KEY", "credential.access_key"),
        (
            ("access_id", ACCESS_ID, "access_key", ACCESS_KEY, "session_token", f"{SESSION_TOKEN}\r\nX: y"),
            "WRONG_ACCESS_KEY",
            "credential.session_token",
        ),
        (
            ("access_id", ACCESS_ID, "access_key", ACCESS_KEY, "session_token", f"{SESSION_TOKEN}é"),
            "WRONG_ACCESS_KEY",
            "credential.session_token",
        ),
    ],
)
def test_invalid_keys_are_rejected(tuples: tuple[str, ...], code: str, key: str) -> None:
    """The error names the invalid key, and does not show any."""
    error = rejected("arn", ARN, *tuples)

    assert (error.code, error.details["key"]) == (code, key)
    text = "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.to_json())
    assert not any(secret in text for secret in (ACCESS_KEY, SESSION_TOKEN))


@pytest.mark.defect(34)
def test_the_keys_are_never_shown() -> None:
    """The access id is shown, because it identifies the key and is not a secret."""
    params = AwsConnectionParams.from_config(
        ConfigParams.from_tuples(
            *("connection.arn", ARN, "credential.access_id", ACCESS_ID),
            *("credential.access_key", ACCESS_KEY, "credential.session_token", SESSION_TOKEN),
        )
    )

    for text in (str(params), repr(params), f"{params}", params.to_string()):
        assert f"arn={ARN};access_id={ACCESS_ID};access_key=***;session_token=***" in text
    assert set(params.secrets()) == {ACCESS_KEY, SESSION_TOKEN}


# --- Random input ---

pieces = st.sampled_from(list("::::/ \n-_é٣\ud800")) | st.sampled_from(
    ["arn", "aws", "aws-cn", "lambda", "s3", "eu-west-1", ACCOUNT, "function", "orders", "$LATEST", "a" * 130]
)
any_text = st.text(st.characters(exclude_categories=()), max_size=12)
arns = st.lists(pieces, max_size=13).map("".join) | any_text | any_text.map(f"{ARN}:".__add__)


@given(arns)
@settings(max_examples=60, deadline=None)
def test_any_arn_is_accepted_or_rejected(arn: str) -> None:
    """No other exception is raised. An accepted name can be a part of a URL."""
    with contextlib.suppress(ConfigException):
        assert valid("arn", arn).get_arn() == arn
        assert arn.isascii()
        assert not set(arn) & set(" /?#%\n")


PARTS = ("partition", "service", "region", "account", "resource_type", "resource", "arn", "access_id", "access_key")
names = st.sampled_from([*PARTS, "client_id", "client_key", "secret_key", "session_token", "uri", "endpoint"])


@given(st.dictionaries(names, arns | st.sampled_from(["eu-west-1", ACCOUNT, "orders", "http://h"]), max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_parameters_are_accepted_or_rejected(parts: dict[str, str]) -> None:
    """The getters never raise, and validation raises no other exception."""
    params = AwsConnectionParams.from_tuples(*(item for pair in parts.items() for item in pair))
    for name in PARTS:
        assert isinstance(getattr(params, f"get_{name}")(), str | None)
    with contextlib.suppress(ConfigException):
        params.validate()
        assert params.get_arn()
