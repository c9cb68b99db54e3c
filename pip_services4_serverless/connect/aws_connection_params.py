from __future__ import annotations

import re

from .._context import CallContext
from .._tracebacks import hide_failures
from ._config_errors import config_error
from ._connection_params import ServerlessConnectionParams, check_secret, check_url

__tracebackhide__ = hide_failures

# The parts of a function's ARN, in their order, each with its pattern.
_PARTS = {
    "partition": r"aws(?:-[a-z]+)*",
    "service": r"lambda",
    "region": r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+",
    "account": r"[0-9]{12}",
    "resource_type": r"function",
    "resource": r"[A-Za-z0-9-_]{1,140}(?::(?:\$LATEST(?:\.PUBLISHED)?|[A-Za-z0-9-_]{1,128}))?",
}
_DEFAULTS = {"partition": "aws", "service": "lambda", "resource_type": "function"}
_PARTIAL = re.compile(
    rf"(?:(?:(?P<region>{_PARTS['region']}):)?(?P<account>{_PARTS['account']}):(?:function:)?|function:)?"
    rf"(?P<resource>{_PARTS['resource']})\Z"
)
_WHOLE = re.compile(rf"arn:{':'.join(_PARTS.values())}\Z")


class AwsConnectionParams(ServerlessConnectionParams):
    """The name or ARN of an AWS Lambda function, and the AWS keys to call it with.

    Configuration parameters:

    - `arn`: the function's ARN, with or without an alias or version; also a partial ARN (`account:function:name`),
      `name:qualifier`, or the name alone
    - `region`, `partition` (`aws`), `service` (`lambda`), `account`, `resource_type` (`function`), `resource`: if `arn`
      is missing, the ARN consists of these parts; without an account, `resource` is the function's name
    - `uri` or `endpoint`: another endpoint, for example of an emulator, or a VPC endpoint
    - `access_id` (`client_id`), `access_key` (`client_key`, `secret_key`), `session_token`: if they are missing,
      boto3's own credential chain finds the keys
    - `identity`: `default` is accepted and changes nothing: boto3's chain already finds the platform's identity

    ```python
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:orders:live"
    params = AwsConnectionParams.from_tuples("arn", arn)
    params.validate()
    assert params.get_region() == "eu-west-1" and params.get_resource() == "orders:live"
    ```
    """

    KEYS = frozenset(
        {"arn", "uri", "endpoint", "access_id", "client_id", "access_key", "client_key", "secret_key", "session_token"}
        | {"identity"}
    ) | frozenset(_PARTS)

    def get_partition(self) -> str:
        """The ARN's partition: `aws`, `aws-cn`, `aws-us-gov`..."""
        return self._part("partition") or "aws"

    def set_partition(self, value: str | None) -> None:
        """Sets the partition."""
        self.put("partition", value)

    def get_service(self) -> str:
        """The ARN's service."""
        return self._part("service") or "lambda"

    def set_service(self, value: str | None) -> None:
        """Sets the service."""
        self.put("service", value)

    def get_region(self) -> str | None:
        """The region of the ARN, or else the `region` that is set. Requests are signed for it and sent to it."""
        return self._part("region")

    def set_region(self, value: str | None) -> None:
        """Sets the region."""
        self.put("region", value)

    def get_account(self) -> str | None:
        """The AWS account ID, 12 digits."""
        return self._part("account")

    def set_account(self, value: str | None) -> None:
        """Sets the AWS account ID."""
        self.put("account", value)

    def get_resource_type(self) -> str | None:
        """The ARN's resource type: `function`."""
        return self._part("resource_type")

    def set_resource_type(self, value: str | None) -> None:
        """Sets the resource type."""
        self.put("resource_type", value)

    def get_resource(self) -> str | None:
        """The function's name, followed by its alias or version if there is one."""
        return self._part("resource")

    def set_resource(self, value: str | None) -> None:
        """Sets the function's name."""
        self.put("resource", value)

    def get_arn(self) -> str | None:
        """The `arn` that is set, or else the ARN composed from its parts, or the name alone. None if nothing is set."""
        arn, resource = self._first("arn"), self._first("resource")
        if arn is not None or resource is None:
            return arn
        if self._first("account") is None:
            return resource
        region = self._first("region") or ""
        parts = ("arn", self.get_partition(), self.get_service(), region, self.get_account(), self.get_resource_type())
        return ":".join(part or "" for part in (*parts, resource))

    def set_arn(self, value: str | None) -> None:
        """Sets the ARN, which has precedence over its parts."""
        self.put("arn", value)

    def get_endpoint(self) -> str | None:
        """The URL of another endpoint, or None for the endpoint of AWS."""
        return self._first("uri", "endpoint")

    def get_access_id(self) -> str | None:
        """The access key ID."""
        return self._first("access_id", "client_id")

    def set_access_id(self, value: str | None) -> None:
        """Sets the access key ID."""
        self.put("access_id", value)

    def get_access_key(self) -> str | None:
        """The secret access key."""
        return self._first("access_key", "client_key", "secret_key")

    def set_access_key(self, value: str | None) -> None:
        """Sets the secret access key."""
        self.put("access_key", value)

    def get_session_token(self) -> str | None:
        """The session token of temporary keys, or None."""
        return self._first("session_token")

    def validate(self, context: CallContext = None) -> None:
        """Checks the parameters.

        Raises:
            ConfigException: `NO_CONNECTION`, `WRONG_ARN`, `NO_REGION`, `WRONG_URI`, `WRONG_PROTOCOL`, `NO_ACCESS_ID`,
                `NO_ACCESS_KEY`, `WRONG_ACCESS_KEY` or `WRONG_IDENTITY`. The message names the key.
        """
        arn = self.get_arn()
        if arn is None:
            raise config_error(context, "NO_CONNECTION", "connection.arn", "is missing; set it or connection.resource")
        if self._first("arn") is None and self._first("account") is not None and self._first("region") is None:
            raise config_error(context, "NO_REGION", "connection.region", "is required when connection.account is set")
        if not _WHOLE.match(arn) and not _PARTIAL.match(arn):
            key = "arn" if self._first("arn") is not None else self._wrong_part()
            message = f"{arn[:200]!r} is not the ARN or the name of a Lambda function"
            raise config_error(context, "WRONG_ARN", f"connection.{key}", message)
        region = self._first("region")
        # Regions are not compared with those of AWS: an emulator may have others.
        if region is not None and not re.fullmatch(r"[a-z0-9-]{1,40}", region):
            raise config_error(context, "NO_REGION", "connection.region", f"{region[:40]!r} is not an AWS region")
        endpoint = self.get_endpoint()
        if endpoint is not None:
            key = "connection.uri" if self._first("uri") else "connection.endpoint"
            check_endpoint(context, key, endpoint)
        self._validate_keys(context)
        self._validate_identity(context)

    def _validate_keys(self, context: CallContext) -> None:
        access_id, access_key, token = self.get_access_id(), self.get_access_key(), self.get_session_token()
        if access_key is None and (access_id is not None or token is not None):
            message = "is required when access_id or session_token is set"
            raise config_error(context, "NO_ACCESS_KEY", "credential.access_key", message)
        if access_id is None and access_key is not None:
            raise config_error(context, "NO_ACCESS_ID", "credential.access_id", "is required when access_key is set")
        for name, value in (("access_id", access_id), ("access_key", access_key), ("session_token", token)):
            check_secret(context, "WRONG_ACCESS_KEY", f"credential.{name}", value)

    def _wrong_part(self) -> str:
        """The name of the first part that is not valid in an ARN."""
        values = ((name, self._first(name)) for name in _PARTS)
        return next((name for name, value in values if value and not re.fullmatch(_PARTS[name], value)), "resource")

    def _part(self, name: str) -> str | None:
        """A part of the ARN, or else the parameter with this name, or its default."""
        arn = self._first("arn") or ""
        whole = arn.split(":", 5)
        if len(whole) == 6 and whole[0] == "arn":
            # `function:name:alias`, or the resource of another service: `table/name`, or a name alone
            kind, resource = re.fullmatch(r"(?:([^:/]+)[:/])?(.*)", whole[5], re.DOTALL).groups()  # type: ignore[union-attr]
            return dict(zip(_PARTS, (*whole[1:5], kind, resource), strict=True))[name] or None
        match = _PARTIAL.match(arn)
        return (match and match.groupdict().get(name)) or self._first(name) or _DEFAULTS.get(name)


def check_endpoint(context: CallContext, key: str, url: str) -> None:
    """Checks the URL of an endpoint.

    Raises:
        ConfigException: `WRONG_URI` or `WRONG_PROTOCOL`.
    """
    parts = check_url(context, key, url)
    if parts.query or parts.fragment:
        raise config_error(context, "WRONG_URI", key, "is an endpoint and must not have a query or a fragment")
