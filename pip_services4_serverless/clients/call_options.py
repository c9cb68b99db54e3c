from __future__ import annotations

from typing import TypedDict


class CallOptions(TypedDict, total=False):
    """The options of one call: keywords of `call`, `_call`, `_invoke` and `call_command`.

    They take precedence over `options.commands.<cmd>.*` of the configuration, which takes precedence over `options.*`.

    - `timeout`: time for one attempt, from connecting to the end of the response, in ms
    - `total_timeout`: time for the call with all retries and waits, in ms; 0 means no limit
    - `retries`: maximum number of retries
    - `idempotent`: true allows a retry even if the function may have run already

    If an option is wrong, the call raises `BadRequestException` with the code `WRONG_OPTION`, and nothing is sent.

    Use this type in a subclass that passes the options on:

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
