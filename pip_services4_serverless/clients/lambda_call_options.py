from __future__ import annotations

from .call_options import CallOptions


class LambdaCallOptions(CallOptions, total=False):
    """The options of one call on AWS Lambda: those of `CallOptions`, and `tenant_id`.

    - `tenant_id`: the tenant, for a function with tenant isolation: 1 to 256 letters, digits, spaces and `._:/=+@-`

    ```python
    class ReportsClient(LambdaClient):
        def make_report(self, context, tenant):
            return self._call("make_report", context, {}, tenant_id=tenant, timeout=300_000)
    ```
    """

    tenant_id: str
