from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .._context import CallContext, trace_id_of
from .._rules.answer import Answer
from .._rules.errors import Provider, call_error
from .._rules.options import Options
from ..connect import AwsConnectionParams, AwsConnectionResolver
from ._transport import Transport
from .function_client import FunctionClient


class _Handle(NamedTuple):
    client: Any  # boto3's
    function: str
    invoke: Callable[[Any, str, bytes, bool, float], Answer]


class LambdaClient(FunctionClient):
    """Calls an AWS Lambda function. `cmd` says which of its actions.

    Configuration parameters, besides the options of `FunctionClient`:

    - `connection.arn`: the function's ARN (with alias or version), a partial ARN, or its name
    - `connection.region`, `.partition`, `.service`, `.account`, `.resource_type`, `.resource`: else composed
    - `connection.uri` or `.endpoint`: another endpoint, as an emulator's or a VPC endpoint's
    - `connection.discovery_key`: look the connection up in a discovery service
    - `credential.access_id`, `.access_key`, `.session_token`: AWS keys; when none is set, boto3's own chain decides
    - `credential.store_key`: look the credential up in a credential store

    ```python
    class OrdersClient(LambdaClient):
        def get_order(self, context, order_id):
            return self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.arn", "arn:aws:lambda:eu-west-1:123456789012:function:orders",
        "credential.access_id", "ID", "credential.access_key", "KEY"))
    client.open("123")
    ```
    """

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

    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        from ._failures import failures_of_botocore
        from ._lambda_session import invoke, open_lambda

        self._lambda, secrets = open_lambda(context, self._connection, options)
        handle = _Handle(self._lambda, self._connection.get_arn(), invoke)
        return Transport(handle, self._lambda.meta.endpoint_url, secrets, failures_of_botocore())

    def _close_transport(self, transport: Transport) -> None:
        transport.handle.client.close()
        self._lambda = None

    def _send(self, transport: Transport, payload: bytes, one_way: bool, timeout: float) -> Answer:
        client, function, invoke = transport.handle
        answer: Answer = invoke(client, function, payload, one_way, timeout)
        return answer

    def _invoke(self, invocation_type: str, cmd: str, context: CallContext, args: Mapping[str, Any] | None) -> Any:
        """Invokes the function: `RequestResponse` returns what the action returned, `Event` returns None.

        Arguments and errors are those of `FunctionClient._call`.
        """
        if invocation_type not in ("RequestResponse", "Event"):
            message = f"The invocation type must be RequestResponse or Event, not {invocation_type!r}"
            raise call_error("WRONG_INVOCATION_TYPE", trace_id_of(context), message)
        return self._execute(cmd, context, args, one_way=invocation_type == "Event")

    def _call(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls an action and waits; returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        return self._invoke("RequestResponse", cmd, context, params)

    def call_one_way(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> None:
        """Hands an action to Lambda, which runs it later; returns None as soon as Lambda has taken it.

        Arguments and errors are those of `FunctionClient._call`.
        """
        self._invoke("Event", cmd, context, params)

    def _call_one_way(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> None:
        """The name by which existing subclasses know `call_one_way`."""
        self.call_one_way(cmd, context, params)
