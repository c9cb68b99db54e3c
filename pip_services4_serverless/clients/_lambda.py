from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from .._context import CallContext, trace_id_of
from .._rules.errors import Provider, Target, call_error, check_context
from .._rules.options import CALL_OPTIONS, TENANT_OPTIONS, Option
from .._tracebacks import hide_failures
from ._serverless_client import ServerlessClient

__tracebackhide__ = hide_failures


class LambdaFunction(ServerlessClient):
    """What the blocking and the asynchronous client of an AWS Lambda function share."""

    _CALL_OPTIONS: ClassVar[Mapping[str, Option]] = {**CALL_OPTIONS, **TENANT_OPTIONS}
    _MAX_PAYLOAD = 6 * 1024 * 1024  # bytes
    _MAX_EVENT = 1024 * 1024  # bytes of the payload of a one-way call
    _PROVIDER = Provider(
        not_started=frozenset(
            {
                "TooManyRequestsException",
                "EC2ThrottledException",
                "ResourceNotReadyException",
                "ResourceConflictException",
                "SnapStartNotReadyException",
                "ENINotReadyException",
                "CodeArtifactUserPendingException",
                "ThrottlingException",
                "Throttling",
            }
        ),
        may_have_run=frozenset({408, 410}),  # timeouts and errors of the function's file system
    )
    _timeout = 60000  # ms

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        # Imported late: this is a tenth of the time to import the client.
        from ..connect import AwsConnectionParams, AwsConnectionResolver

        self._keys = AwsConnectionParams.KEYS
        self._connection = AwsConnectionParams()
        self._connection_resolver = AwsConnectionResolver()
        self._lambda: Any = None

    @classmethod
    def from_arn(
        cls,
        arn: str,
        region: str | None = None,
        endpoint: str | None = None,
        *,
        name: str | None = None,
        **options: Any,
    ) -> Self:
        """Makes a client without a container or a subclass. The client is configured, but not open.

        AWS's credential chain finds the keys.

        Args:
            arn: the function's ARN, a partial ARN, or its name.
            region: the AWS region, if neither the ARN nor AWS's settings have it.
            endpoint: another endpoint, for example of an emulator.
            name: the service's name, for commandable clients.
            options: the options of the configuration, for example `timeout=5000` (ms).

        Raises:
            ConfigException: `WRONG_OPTION`. Other errors of the configuration are raised by `open`.

        ```python
        client = LambdaClient.from_arn("orders", region="eu-west-1", retries=1)
        assert not client.is_open()
        ```
        """
        settings = {"connection.arn": arn, "connection.region": region, "connection.uri": endpoint}
        return cls._configured(name, settings, options)

    @property
    def _opened(self) -> bool:
        return self.is_open()

    def _target(self) -> Target:
        return Target(type(self).__name__, "function", self._address())

    def _address(self) -> str:
        return str(self._connection.get_arn())

    def _payload_limit(self, one_way: bool) -> int:
        return self._MAX_EVENT if one_way else self._MAX_PAYLOAD

    def _is_one_way(self, invocation_type: str, context: CallContext) -> bool:
        """Whether the invocation type is `Event`.

        Raises:
            BadRequestException: `WRONG_INVOCATION_TYPE`.
        """
        check_context(context)
        if invocation_type not in ("RequestResponse", "Event"):
            message = f"The invocation type must be RequestResponse or Event, not {invocation_type!r}"
            raise call_error("WRONG_INVOCATION_TYPE", trace_id_of(context), message)
        return invocation_type == "Event"
