"""What a configuration is refused with: the one table of its errors, which the documentation repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from pip_services4_commons.errors import ConfigException

from .._context import CallContext, trace_id_of
from .._tracebacks import hide_failures

__tracebackhide__ = hide_failures

REFUSALS: Mapping[str, str] = {
    "WRONG_OPTION": "an option of the wrong kind or out of bounds",
    "NO_CONNECTION": "nothing to connect to; a discovery key that is not found",
    "WRONG_PROTOCOL": "a scheme other than http or https",
    "WRONG_URI": "an unusable URL: no host, an odd one, a password, white space; a `function_name` that leaves `/api/`",
    "WRONG_AUTH_CODE": "a key with white space, a line break, or characters that are no ASCII",
    "WRONG_ARN": "no ARN, partial ARN or name of a Lambda function",
    "NO_REGION": "no region in the ARN, the configuration or AWS's own settings",
    "NO_ACCESS_ID": "`access_key` without `access_id`",
    "NO_ACCESS_KEY": "`access_id` or `session_token` without `access_key`",
    "WRONG_ACCESS_KEY": "an AWS key with white space or a line break",
    "WRONG_IDENTITY": "an `identity` other than `default`; without `scope` on Azure; beside `auth_token` on Google",
    "NO_CREDENTIALS": "a store key that is not found; nothing in AWS's own chain; an identity's extra is not installed",
}


_PAGE = "docs/troubleshooting.md"  # has an anchor for each code


def refusal(context: CallContext, code: str, key: str, message: str) -> ConfigException:
    """The error that names the key at fault, and where to read on. The message must not hold the value of a secret."""
    text = f"{key}: {message} (see {_PAGE}#{code.lower()})"
    return ConfigException(trace_id_of(context), code, text).with_details("key", key)


def refuse(context: CallContext, code: str, key: str, message: str) -> NoReturn:
    """Raises the `refusal`."""
    raise refusal(context, code, key, message)
