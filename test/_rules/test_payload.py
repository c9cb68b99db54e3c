"""The payload of a request: one JSON object with the parameters, `cmd` and `trace_id`."""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import enum
import json
import math
import threading
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.convert import JsonConverter
from pip_services4_commons.data import AnyValueMap
from pip_services4_commons.errors import ApplicationException, BadRequestException
from pip_services4_data.query import DataPage, FilterParams, PagingParams

from pip_services4_serverless._rules.payload import encode

LIMIT = 1024 * 1024


def payload_of(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The payload, as the function decodes it."""
    return dict(json.loads(encode("orders.get", "T", params, LIMIT)))


def error_of(params: Any, limit: int = LIMIT) -> ApplicationException:
    """The error that the caller gets."""
    with pytest.raises(BadRequestException) as caught:
        encode("orders.get", "T", params, limit)
    assert caught.value.trace_id == "T"
    json.dumps(caught.value.to_json(), default=str)
    return caught.value


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.StrEnum):
    BOOK = "book"


@dataclasses.dataclass
class Point:
    x: int
    tags: set[str]


@dataclasses.dataclass
class Slotted:
    __slots__ = ("x",)
    x: int


class Plain:
    def __init__(self) -> None:
        self.name = "n"
        self._at = date(2024, 2, 29)
        self.__dict__["__hidden__"] = 1
        self.__dict__["__half"] = 2


class Legacy:
    """An object that the toolkit's converter can serialise."""

    def __init__(self) -> None:
        self.name = "n"
        self._at = datetime(2024, 2, 29, 1, 2, 3)
        self.__dict__["__hidden__"] = 1


class WithJson:
    def to_json(self) -> Any:
        return {"made_by": "to_json", "at": date(2024, 2, 29)}

    def to_dict(self) -> Any:
        raise AssertionError("to_json is preferred")


class WithDict:
    to_json = "not a method"

    def to_dict(self) -> Any:
        return {"made_by": "to_dict"}


class Registry(collections.UserDict[str, Any]):
    """A mapping that is not a dict."""


class Untouchable(dict[str, Any]):
    """An object that cannot be copied or changed, like some objects of callers."""

    def __copy__(self) -> Any:
        raise AssertionError("copied")

    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError("copied deeply")

    def __setitem__(self, key: str, value: Any) -> None:
        raise AssertionError("changed")


def test_the_payload_has_the_parameters_the_command_and_the_trace_id() -> None:
    """All of them are keys of one object."""
    assert payload_of({"id": "7"}) == {"id": "7", "cmd": "orders.get", "trace_id": "T"}


@pytest.mark.parametrize("params", [None, {}])
def test_without_parameters_the_payload_has_the_command_and_the_trace_id(params: Any) -> None:
    """None has the same effect as an empty dict."""
    assert payload_of(params) == {"cmd": "orders.get", "trace_id": "T"}


def test_parameters_do_not_override_the_command_and_the_trace_id() -> None:
    """The call decides what is called."""
    assert payload_of({"cmd": "drop", "trace_id": "X"}) == {"cmd": "orders.get", "trace_id": "T"}


def test_the_callers_dict_is_not_changed_and_not_copied_deeply() -> None:
    """Parameters may contain objects that cannot be copied."""
    inner = Untouchable(id=1)
    params = Untouchable(inner=inner)

    assert payload_of(params)["inner"] == {"id": 1}
    assert params == {"inner": {"id": 1}}


def test_text_is_sent_as_utf_8() -> None:
    """Characters are not escaped."""
    assert "žluťoučký 🐎" in encode("c", "T", {"horse": "žluťoučký 🐎"}, LIMIT).decode("utf-8")


@pytest.mark.defect(17)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2024, 2, 29, 12, 30, 1, 500000), "2024-02-29T12:30:01.500000"),
        (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00+00:00"),
        (datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-5))), "2024-02-29T00:00:00-05:00"),
        (date(2024, 2, 29), "2024-02-29"),
        (time(12, 30), "12:30:00"),
        (Decimal("10.50"), "10.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        (bytearray(b"abc"), "YWJj"),
        (memoryview(b"abc"), "YWJj"),
        ({1}, [1]),
        (frozenset(), []),
        ({}.keys(), []),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Kind.BOOK, "book"),
        (Point(1, {"a"}), {"x": 1, "tags": ["a"]}),
        (Slotted(2), {"x": 2}),
        (Registry(a=Decimal(1)), {"a": "1"}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (AnyValueMap({"a": 1}), {"a": 1}),
        (WithJson(), {"made_by": "to_json", "at": "2024-02-29"}),
        (WithDict(), {"made_by": "to_dict"}),
        (Plain(), {"name": "n", "_at": "2024-02-29", "__half": 2}),
        (FilterParams.from_tuples("name", "ABC"), {"name": "ABC"}),
        (PagingParams(5, 10, True), {"skip": 5, "take": 10, "total": True}),
        (DataPage([{"id": Decimal("0.1")}], 1), {"data": [{"id": "0.1"}], "total": 1}),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        (None, None),
        (10**30, 10**30),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_serialised(value: Any, expected: Any) -> None:
    """The toolkit serialises some of these types, and Python users expect the others."""
    assert payload_of({"value": value})["value"] == expected
    assert payload_of({"deep": [{"value": value}]})["deep"] == [{"value": expected}]


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 2, 29, 1, 2, 3),
        {1},
        Legacy(),
        [Legacy()],
        FilterParams.from_tuples("a", "b"),
        PagingParams(1, 2),
        DataPage([Legacy()], 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_have_the_form_that_the_toolkit_gives_them(value: Any) -> None:
    """A service that replaces its own client does not see a difference."""
    assert payload_of({"value": value})["value"] == json.loads(JsonConverter.to_json({"value": value}))["value"]


@pytest.mark.defect(17)
@pytest.mark.defect(33)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"deep": {"er": math.inf}}])
def test_nan_and_infinity_are_rejected(value: Any) -> None:
    """JSON cannot represent them. The error names the parameter."""
    error = error_of({"ok": 1, "price": value})

    assert (error.code, error.status) == ("SERIALIZATION_FAILED", 400)
    assert error.details["parameter"] == "price"
    assert isinstance(error.__cause__, ValueError)


def test_an_exception_without_a_text_is_named() -> None:
    """`to_json` may raise one, and so does Python without memory."""

    class Unfinished:
        def to_json(self) -> str:
            raise NotImplementedError

    assert error_of({"bad": Unfinished()}).message == "Parameter 'bad' cannot be sent as JSON: NotImplementedError"


def test_an_exception_whose_str_raises_is_named() -> None:
    """`to_json` may raise one, too."""

    class WrongError(Exception):
        def __str__(self) -> str:
            raise KeyError("reason")

    class Broken:
        def to_json(self) -> str:
            raise WrongError

    error = error_of({"bad": Broken()})
    assert error.message == "Parameter 'bad' cannot be sent as JSON: WrongError"
    assert isinstance(error.__cause__, WrongError)


@pytest.mark.defect(41)
@pytest.mark.parametrize(
    "value",
    [
        threading.Lock(),
        object(),
        timedelta(1),
        1j,
        (n for n in list[int]()),
        dict,
        math,
        lambda: None,
        len,
        [].append,
        {(1, 2): "a key that is not text"},
        {"in": [{"there": object()}]},
        10**5000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_json_cannot_represent_is_rejected(value: Any) -> None:
    """The error names the parameter, and has a cause."""
    error = error_of({"id": "7", "bad": value})

    assert error.code == "SERIALIZATION_FAILED"
    assert error.details["parameter"] == "bad"
    assert "'bad'" in error.message
    assert error.__cause__ is not None


def test_a_value_that_contains_itself_is_rejected() -> None:
    """A circular reference does not cause a stack overflow."""
    circle: list[Any] = []
    circle.append(circle)

    assert error_of({"circle": circle}).details["parameter"] == "circle"


def test_a_value_that_is_nested_too_deeply_is_rejected() -> None:
    """A very deep list does not cause a stack overflow."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]

    assert error_of({"deep": deep}).details["parameter"] == "deep"


def test_a_parameter_name_that_is_not_text_is_rejected() -> None:
    """JSON has only text as keys."""
    assert error_of({("a", "b"): 1}).code == "SERIALIZATION_FAILED"


def test_an_object_whose_method_raises_is_rejected() -> None:
    """The caller's code may raise any exception."""

    class Broken:
        def to_json(self) -> Any:
            raise KeyError("id")

    error = error_of({"order": Broken()})

    assert isinstance(error.__cause__, KeyError)
    assert error.details["parameter"] == "order"


class Lazy(Mapping[str, Any]):
    """A mapping that reads its values when they are needed, and cannot read `gone`."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> Any:
        if name == "gone":
            raise OSError("the database is gone")
        return name


def test_a_mapping_that_cannot_be_read_is_rejected() -> None:
    """Reading the parameters is a part of serialising them."""
    error = error_of(Lazy("gone"))

    assert error.code == "SERIALIZATION_FAILED"
    assert isinstance(error.__cause__, OSError)


def test_a_readable_parameter_is_not_blamed() -> None:
    """The error is about the next parameter, which cannot be read."""
    assert "fine" not in error_of(Lazy("fine", "gone")).message


def test_an_error_that_no_parameter_caused_names_none() -> None:
    """The command, for example, cannot be serialised."""
    with pytest.raises(BadRequestException) as caught:
        encode(object(), "T", {"id": "7"}, LIMIT)  # type: ignore[arg-type]

    assert caught.value.code == "SERIALIZATION_FAILED"
    assert "parameter" not in (caught.value.details or {})


@pytest.mark.parametrize("kind", [Mock, MagicMock])
def test_a_mock_is_rejected_at_once(kind: type[Mock]) -> None:
    """Each `to_json` of a mock returns another mock. Calling them all would take minutes and gigabytes."""
    error = error_of({"bad": kind()})

    assert error.message == f"Parameter 'bad' cannot be sent as JSON: {kind.__name__} is not JSON serializable"


def test_a_mock_with_data_is_serialised() -> None:
    """A test has said what its method returns."""
    order = Mock()
    order.to_json.return_value = {"id": "7"}

    assert json.loads(encode("act", "T", {"order": order}, LIMIT))["order"] == {"id": "7"}


@pytest.mark.defect(41)
@pytest.mark.parametrize("params", [["id"], "id", 7, {"id"}, Plain(), b"{}", False], ids=lambda it: type(it).__name__)
def test_parameters_that_are_not_a_mapping_are_rejected(params: Any) -> None:
    """Parameters must have names."""
    error = error_of(params)

    assert error.code == "SERIALIZATION_FAILED"
    assert type(params).__name__ in error.message


def test_a_payload_at_the_size_limit_is_accepted() -> None:
    """The limit itself is allowed."""
    size = len(encode("c", "T", {"é": "é"}, LIMIT))

    assert len(encode("c", "T", {"é": "é"}, size)) == size


def test_a_payload_over_the_size_limit_is_rejected() -> None:
    """The size is in bytes, not in characters. The error has the size and the limit."""
    size = len(encode("c", "T", {"é": "é"}, LIMIT))

    with pytest.raises(BadRequestException) as caught:
        encode("c", "T", {"é": "é"}, size - 1)

    assert (caught.value.code, caught.value.status) == ("PAYLOAD_TOO_LARGE", 413)
    assert caught.value.details == {"size": str(size), "limit": str(size - 1), "command": "c"}


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d🐎\udc00", "\udfff\ud800"])
def test_a_lone_surrogate_is_escaped(text: str) -> None:
    """UTF-8 cannot encode it, but JSON can escape it."""
    assert payload_of({text: [text]}) == {text: [text], "cmd": "orders.get", "trace_id": "T"}


def joined(text: str) -> str:
    """The text after JSON has joined each pair of surrogates to one character."""
    return str(json.loads(json.dumps(text)))


any_text = st.text(st.characters(exclude_categories=()), max_size=8).filter(lambda text: text == joined(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(any_text, json_values, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_json_value_is_decoded_unchanged(params: dict[str, Any]) -> None:
    """Decoding is the opposite of encoding."""
    assert payload_of(params) == {**params, "cmd": "orders.get", "trace_id": "T"}


makers: list[Callable[[], Any]] = [object, Plain, WithDict, lambda: {1, 2}, lambda: math.nan, lambda: b"x", lambda: 1j]


@given(st.recursive(st.sampled_from(makers).map(lambda make: make()), lambda v: st.lists(v, max_size=2), max_leaves=5))
@settings(max_examples=30, deadline=None)
def test_any_object_is_serialised_or_rejected(value: Any) -> None:
    """No other exception is raised."""
    with contextlib.suppress(BadRequestException):
        encode("c", "T", {"value": value}, LIMIT)
