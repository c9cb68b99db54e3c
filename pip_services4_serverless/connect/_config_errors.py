"""The errors of a configuration, and the table of their codes. The documentation contains the same table."""

from __future__ import annotations

from collections.abc import Mapping

from pip_services4_commons.errors import ConfigException

from .._context import CallContext, trace_id_of
from .._tracebacks import hide_failures

__tracebackhide__ = hide_failures

CONFIG_ERRORS: Mapping[str, str] = {
    "WRONG_OPTION": "an option has the wrong type, is out of bounds or, as a keyword of `from_uri`, does not exist",
    "NO_CONNECTION": "no address is configured, or a part of it is missing, or a discovery key was not found",
    "WRONG_PROTOCOL": "the protocol is neither http nor https",
    "WRONG_URI": "the URL is not valid: no host, a password, white space, or a `function_name` outside `/api/`",
    "WRONG_AUTH_CODE": "the key or token contains white space, a line break or a character outside ASCII",
    "WRONG_ARN": "the value is not an ARN, a partial ARN or the name of a Lambda function",
    "NO_REGION": "the ARN, the configuration and AWS's own settings name no valid region",
    "NO_ACCESS_ID": "`access_key` is set without `access_id`",
    "NO_ACCESS_KEY": "`access_id` or `session_token` is set without `access_key`",
    "WRONG_ACCESS_KEY": "an AWS key contains white space, a line break or a character outside ASCII",
    "WRONG_IDENTITY": "`identity` is not `default`, lacks `scope` (Azure), or is set with `auth_token` (Google)",
    "NO_CREDENTIALS": "a store key was not found, AWS's chain found no keys, or an extra for `identity` is missing",
}
_PAGE = "docs/troubleshooting.md"  # has an anchor for each code


def config_error(context: CallContext, code: str, key: str, message: str) -> ConfigException:
    """Makes an error that names the wrong key and the page about its code. The message must not contain a secret."""
    text = f"{key}: {message} (see {_PAGE}#{code.lower()})"
    return ConfigException(trace_id_of(context), code, text).with_details("key", key)
