from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._context import CallContext
from .._rules.errors import call_error
from .._rules.options import Options
from .._rules.response import FunctionResponse
from .._tracebacks import hide_failures
from ._lambda import LambdaFunction
from ._transport import Transport
from .function_client import FunctionClient

if TYPE_CHECKING:
    from typing import Unpack

    from .lambda_call_options import LambdaCallOptions

__tracebackhide__ = hide_failures


class _Handle(NamedTuple):
    client: Any  # of boto3
    function: Mapping[str, str]  # the keywords of boto3's `invoke` that identify the function
    invoke: Callable[[Any, Mapping[str, str], bytes, bool, float], FunctionResponse]


class LambdaClient(LambdaFunction, FunctionClient):
    """Calls an AWS Lambda function. `cmd` names the action.

    Configuration parameters, in addition to the options of `FunctionClient`:

    - `connection.arn`: the function's ARN (with alias or version), a partial ARN, or its name
    - `connection.region`, `.partition`, `.service`, `.account`, `.resource_type`, `.resource`: the parts of the ARN, if
      `arn` is missing
    - `connection.uri` or `.endpoint`: another endpoint, for example of an emulator, or a VPC endpoint
    - `connection.discovery_key`: look the connection up in a discovery service
    - `credential.access_id`, `.access_key`, `.session_token`: AWS keys; if they are missing, boto3's credential chain
      finds the keys
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
        from ._failures import botocore_errors
        from ._lambda_session import invoke, open_lambda, use_own_connections

        opened = open_lambda(context, self._connection, options)
        self._lambda = opened.client
        use_own_connections(opened, options)
        handle = _Handle(opened.client, {"FunctionName": self._connection.get_arn()}, invoke)
        return Transport(handle, opened.client.meta.endpoint_url, opened.secrets, botocore_errors())

    def _close_transport(self, transport: Transport) -> None:
        transport.handle.client.close()
        self._lambda = None

    def _transport_for(self, transport: Transport, options: Mapping[str, Any], trace_id: str) -> Transport:
        if "tenant_id" not in options:
            return transport
        handle: _Handle = transport.handle
        if "TenantId" not in handle.client.meta.service_model.operation_model("Invoke").input_shape.members:
            message = "tenant_id: the installed botocore does not support tenants; upgrade boto3"
            raise call_error("WRONG_OPTION", trace_id, message, key="tenant_id")
        function = {**handle.function, "TenantId": options["tenant_id"]}
        return transport._replace(handle=handle._replace(function=function))

    def _send(self, transport: Transport, payload: bytes, one_way: bool, timeout: float) -> FunctionResponse:
        client, function, invoke = transport.handle
        response: FunctionResponse = invoke(client, function, payload, one_way, timeout)
        return response

    if TYPE_CHECKING:

        def call(
            self,
            cmd: str,
            context: CallContext = None,
            params: Mapping[str, Any] | None = None,
            **options: Unpack[LambdaCallOptions],
        ) -> Any: ...

    def _invoke(
        self,
        invocation_type: str,
        cmd: str,
        context: CallContext,
        args: Mapping[str, Any] | None,
        **options: Unpack[LambdaCallOptions],
    ) -> Any:
        """Invokes the function.

        The arguments and errors are those of `FunctionClient.call`, except for these:

        Args:
            invocation_type: `RequestResponse` waits for the result and returns it. `Event` returns None as soon as
                Lambda has accepted the call.

        Raises:
            BadRequestException: `WRONG_INVOCATION_TYPE`: it is another type.
        """
        return self._execute(cmd, context, args, self._is_one_way(invocation_type, context), options)

    def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> Any:
        """Calls an action and returns its decoded result.

        The arguments and errors are those of `FunctionClient.call`.
        """
        if options:
            return self._invoke("RequestResponse", cmd, context, params, **options)
        return self._invoke("RequestResponse", cmd, context, params)

    def call_one_way(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> None:
        """Queues an action, which Lambda runs later. Returns as soon as Lambda has accepted the call.

        The result of the action is not returned. The arguments and errors are those of `FunctionClient.call`.

        ```python
        def send_report(client: LambdaClient, month: str) -> None:
            client.call_one_way("send_report", "trace-1", {"month": month})
        ```
        """
        if options:
            self._invoke("Event", cmd, context, params, **options)
        else:
            self._invoke("Event", cmd, context, params)

    def _call_one_way(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> None:
        """The same as `call_one_way`, for existing subclasses."""
        if options:
            self.call_one_way(cmd, context, params, **options)
        else:
            self.call_one_way(cmd, context, params)
