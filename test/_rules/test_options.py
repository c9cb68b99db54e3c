"""The `options.*` section of a client's configuration."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams

from pip_services4_serverless._rules.options import (
    CALL_OPTIONS,
    OPTIONS,
    TENANT_OPTIONS,
    read_commands,
    read_option,
    wrong_call_option,
)

NUMBERS = {
    "connect_timeout": (1, 2**31 - 1),
    "timeout": (1, 2**31 - 1),
    "total_timeout": (0, 2**31 - 1),
    "retries": (0, 1000),
    "max_connections": (1, 65535),
    "idle_timeout": (1, 2**31 - 1),
    "tcp_keepalive": (0, 2**31 - 1),
}
FLAGS = ("idempotent", "prefix_commands")


def read(name: str, value: Any, default: int = 77) -> int:
    """The value that is read for this option."""
    return read_option(ConfigParams.from_tuples(f"options.{name}", value), name, default)


def test_the_options_are_those_of_the_contract() -> None:
    """There are no others, and each has a description."""
    assert set(OPTIONS) == {*NUMBERS, *FLAGS}
    assert all(option.meaning for option in OPTIONS.values())


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_empty_value_is_the_default(name: str, value: str | None) -> None:
    """Configuration templates leave a value empty if a variable is not set."""
    assert read(name, value) == 77
    assert read_option(ConfigParams(), name, 77) == 77


@pytest.mark.parametrize(("name", "bounds"), NUMBERS.items())
def test_a_number_within_its_bounds_is_accepted(name: str, bounds: tuple[int, int]) -> None:
    """Both bounds are allowed."""
    assert [read(name, bound) for bound in bounds] == list(bounds)


@pytest.mark.defect(25)
@pytest.mark.parametrize(("value", "number"), [(300, 300), ("300", 300), (" 300 ", 300), (300.0, 300), ("0300", 300)])
def test_a_whole_number_is_accepted_in_any_notation(value: Any, number: int) -> None:
    """Times are in milliseconds, and YAML may have made them floats."""
    assert read("connect_timeout", value) == number


@pytest.mark.parametrize(("name", "bounds"), NUMBERS.items())
def test_a_number_out_of_bounds_is_rejected(name: str, bounds: tuple[int, int]) -> None:
    """The error names both bounds."""
    for value in (bounds[0] - 1, bounds[1] + 1):
        with pytest.raises(ConfigException) as caught:
            read(name, value)
        assert f"from {bounds[0]} to {bounds[1]}" in caught.value.message


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", ["-1", "1.5", "1e3", "ten", "true", True, ".0", "1.0.0", "10 s", "0x10", "1_000", "٣", "²", "9" * 5000]
)
def test_a_value_that_is_not_a_whole_number_is_rejected(name: str, value: Any) -> None:
    """The error names the key, and quotes only the beginning of the value."""
    with pytest.raises(ConfigException) as caught:
        read(name, value)

    assert caught.value.code == "WRONG_OPTION"
    assert caught.value.details["key"] == f"options.{name}"
    assert caught.value.message.startswith(f"options.{name}: ")
    assert len(caught.value.message) < 150


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, 1), (False, 0), (1, 1), (0, 0), *((word, 1) for word in ("true", "Yes", "ON", "y", "t", " 1 "))]
    + [(word, 0) for word in ("false", "No", "OFF", "n", "f")],
)
def test_a_flag_is_accepted_in_any_notation(name: str, value: Any, flag: int) -> None:
    """These are the notations of the toolkit's converter and of YAML."""
    assert read(name, value) == flag


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", ["maybe", "2", "-1", "tru", "null", "x" * 1000])
def test_a_value_that_is_not_a_flag_is_rejected(name: str, value: str) -> None:
    """A spelling mistake must not decide whether a call may be executed twice."""
    with pytest.raises(ConfigException) as caught:
        read(name, value)

    assert (caught.value.code, caught.value.details["key"]) == ("WRONG_OPTION", f"options.{name}")
    assert len(caught.value.message.partition(" (see ")[0]) < 100


def test_only_the_options_section_is_read() -> None:
    """The same key in another section is a different key."""
    assert read_option(ConfigParams.from_tuples("timeout", 5, "connection.timeout", 6), "timeout", 77) == 77


any_text = st.text(st.characters(exclude_categories=()), max_size=12) | st.from_regex(
    r"[-+]?\d{0,12}(\.\d)?", fullmatch=True
)


@given(st.sampled_from(sorted(OPTIONS)), any_text)
@settings(max_examples=80, deadline=None)
def test_any_text_is_a_valid_option_or_is_rejected(name: str, text: str) -> None:
    """No other exception is raised, and no value is out of bounds."""
    minimum, maximum = NUMBERS.get(name, (0, 1))
    with contextlib.suppress(ConfigException):
        assert minimum <= read(name, text, default=1) <= maximum


# --- Options of one command ---


def test_the_options_of_commands_are_read_by_command() -> None:
    """A command may contain dots, or have the name of an option. Empty values and other keys are ignored."""
    config = ConfigParams.from_tuples(
        *("options.commands.get.timeout", 5, "options.commands.get.idempotent", "yes"),
        *("options.commands.orders.get.retries", 0, "options.commands.timeout.retries", 1),
        *("options.commands.empty.timeout", "", "options.commands.get.page_size", 3, "options.commands.timeout", 7),
        *("options.timeout", 8, "commands.put.timeout", 9),
    )
    assert read_commands(config) == {
        "get": {"timeout": 5, "idempotent": True},
        "orders.get": {"retries": 0},
        "timeout": {"retries": 1},
    }


@pytest.mark.parametrize("name", CALL_OPTIONS)
def test_an_invalid_value_of_a_command_is_rejected_like_one_of_the_client(name: str) -> None:
    """The messages are the same, except for the key."""
    key = f"options.commands.orders.get.{name}"
    with pytest.raises(ConfigException) as of_command:
        read_commands(ConfigParams.from_tuples(key, "soon"))
    with pytest.raises(ConfigException) as of_client:
        read(name, "soon")
    assert of_command.value.details["key"] == key
    assert of_command.value.message == of_client.value.message.replace(f"options.{name}", key)


# --- Options of one call ---


@pytest.mark.parametrize("name", CALL_OPTIONS)
def test_a_call_may_set_valid_values(name: str) -> None:
    """Numbers within their bounds and flags are valid."""
    for value in NUMBERS.get(name, (True, False)):
        assert wrong_call_option({name: value}, CALL_OPTIONS) is None


values = st.one_of(
    st.integers(), st.booleans(), st.floats(), st.text(), st.none(), st.binary(), st.lists(st.integers())
)


@given(st.sampled_from(sorted({**CALL_OPTIONS, **TENANT_OPTIONS})), values)
@settings(max_examples=150, deadline=None)
def test_any_other_value_of_a_call_is_rejected(name: str, value: Any) -> None:
    """Values are not converted, and the message is short."""
    if name in FLAGS:
        is_valid = value is True or value is False
    elif name == "tenant_id":
        is_valid = isinstance(value, str) and re.fullmatch(r"[\w.:/=+@ -]{1,256}", value, re.ASCII) is not None
    else:
        low, high = NUMBERS[name]
        is_valid = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    wrong = wrong_call_option({name: value}, {**CALL_OPTIONS, **TENANT_OPTIONS})
    if is_valid:
        assert wrong is None
    else:
        assert wrong is not None
        assert wrong[0] == name
        assert len(wrong[1]) < 120
