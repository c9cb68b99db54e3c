"""Whatever the value of a setting is, the client opens or raises a ConfigException that names the setting."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ConfigException
from support.clients import CLIENTS, PROVIDERS, config_for

from pip_services4_serverless._rules.options import OPTIONS

KEYS = (
    *("connection.uri", "connection.protocol", "connection.app_name", "connection.function_name"),
    *("connection.arn", "connection.region", "connection.account", "connection.resource"),
    *("credential.auth_code", "credential.access_id", "credential.access_key", "credential.session_token"),
    *(f"options.{name}" for name in OPTIONS),
)
PARTS = "http https :// [ ] ::1 : 99999 a.b / ? code= # @ %zz é arn aws lambda eu-west-1 123456789012 $LATEST 1 true -"
# Random text, and text that is almost valid.
VALUES = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*PARTS.split(), "\n", "\ud800"]), max_size=8).map("".join),
)


def open_error(provider: str, changes: Mapping[str, str]) -> ConfigException | None:
    """The error of a client whose configuration is right except for these settings."""
    config = config_for(provider, "http://127.0.0.1:9")
    for key, value in changes.items():
        config.put(key, value)
    client = CLIENTS[provider]("dummies")
    try:
        client.configure(config)
        client.open("T")
    except ConfigException as error:
        return error
    client.close("T")
    return None


@given(st.sampled_from(PROVIDERS), st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
@example("azure", {"connection.uri": "http://a:0/"})
@example("azure", {"connection.uri": "http://[::1"})
@example("lambda", {"connection.uri": "http://\ud800/"})
@example("lambda", {"connection.region": "-"})
def test_any_setting_opens_a_client_or_raises_a_config_exception(provider: str, changes: Mapping[str, str]) -> None:
    """`configure` or `open` raises it. Neither raises anything else."""
    error = open_error(provider, changes)
    if error is not None:
        assert error.message.startswith(error.details["key"])
        assert error.details["key"].partition(".")[0] in ("connection", "credential", "options")
