from __future__ import annotations

from typing import Any

from .._context import CallContext, trace_id_of
from .._rules.errors import Provider, call_error
from ..connect import AwsConnectionParams, AwsConnectionResolver
from ._serverless_client import ServerlessClient


class LambdaFunction(ServerlessClient):
    """What the blocking and the asynchronous client of an AWS Lambda function share."""

    _MAX_PAYLOAD = 6 * 1024 * 1024
    _MAX_EVENT = 1024 * 1024
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
        failed_on_the_way=frozenset({408, 410}),  # its file system's timeouts and faults, which it names
    )
    _timeout = 60000

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._lambda: Any = None
        self._connection = AwsConnectionParams()
        self._connection_resolver = AwsConnectionResolver()

    @property
    def _opened(self) -> bool:
        return self.is_open()

    def _address(self) -> str:
        return str(self._connection.get_arn())

    def _payload_limit(self, one_way: bool) -> int:
        return self._MAX_EVENT if one_way else self._MAX_PAYLOAD

    def _is_one_way(self, invocation_type: str, context: CallContext) -> bool:
        """Whether the invocation type is `Event`.

        Raises:
            BadRequestException: `WRONG_INVOCATION_TYPE`.
        """
        if invocation_type not in ("RequestResponse", "Event"):
            message = f"The invocation type must be RequestResponse or Event, not {invocation_type!r}"
            raise call_error("WRONG_INVOCATION_TYPE", trace_id_of(context), message)
        return invocation_type == "Event"
