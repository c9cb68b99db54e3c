from __future__ import annotations

from typing import TypedDict


class CallOptions(TypedDict, total=False):
    """The options of one call: keywords of `call`, `_call`, `_invoke` and `call_command`.

    They take precedence over `options.commands.<cmd>.*` of the configuration, which takes precedence over `options.*`.

    - `timeout`: ms for one attempt, connecting included
    - `total_timeout`: ms for the call with all its attempts and waits; 0 is no bound
    - `retries`: further attempts after the first
    - `idempotent`: the action may be executed more than once

    A wrong one is a `BadRequestException` with the code `WRONG_OPTION`, and nothing is sent.

    A subclass uses the type to pass the options on:

    ```python
    from typing import Unpack

    class OrdersClient(AzureFunctionClient):
        def get_order(self, context, order_id, **options: Unpack[CallOptions]):
            return self._call("get_order", context, {"order_id": order_id}, **options)
    ```
    """

    timeout: int
    total_timeout: int
    retries: int
    idempotent: bool
