from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .._context import CallContext
from .._rules.answer import Answer
from .._rules.options import Options
from .._tracebacks import hide_failures
from ._lambda import LambdaFunction
from ._transport import Transport
from .function_client import FunctionClient

__tracebackhide__ = hide_failures


class _Handle(NamedTuple):
    client: Any  # boto3's
    function: str
    invoke: Callable[[Any, str, bytes, bool, float], Answer]


class LambdaClient(LambdaFunction, FunctionClient):
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

    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        from ._failures import failures_of_botocore
        from ._lambda_session import invoke, open_lambda, send_by

        opened = open_lambda(context, self._connection, options)
        self._lambda = opened.client
        send_by(opened, options)
        handle = _Handle(opened.client, self._connection.get_arn(), invoke)
        return Transport(handle, opened.client.meta.endpoint_url, opened.secrets, failures_of_botocore())

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
        return self._execute(cmd, context, args, one_way=self._is_one_way(invocation_type, context))

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
