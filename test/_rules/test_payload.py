"""What is sent: one JSON object of parameters, `cmd` and `trace_id`."""

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

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.convert import JsonConverter
from pip_services4_commons.data import AnyValueMap
from pip_services4_commons.errors import ApplicationException, BadRequestException
from pip_services4_data.query import DataPage, FilterParams, PagingParams

from pip_services4_serverless._rules.payload import encode

LIMIT = 1024 * 1024


def sent(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the far side reads."""
    return dict(json.loads(encode("orders.get", "T", params, LIMIT)))


def refused(params: Any, limit: int = LIMIT) -> ApplicationException:
    """The error that the caller sees."""
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
    """What the toolkit's own converter can write."""

    def __init__(self) -> None:
        self.name = "n"
        self._at = datetime(2024, 2, 29, 1, 2, 3)
        self.__dict__["__hidden__"] = 1


class WithJson:
    def to_json(self) -> Any:
        return {"made_by": "to_json", "at": date(2024, 2, 29)}

    def to_dict(self) -> Any:
        raise AssertionError("to_json goes first")


class WithDict:
    to_json = "no method"

    def to_dict(self) -> Any:
        return {"made_by": "to_dict"}


class Registry(collections.UserDict[str, Any]):
    """A mapping that is no dict."""


class Untouchable(dict[str, Any]):
    """Cannot be copied, nor changed, as some callers' objects."""

    def __copy__(self) -> Any:
        raise AssertionError("copied")

    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError("copied deeply")

    def __setitem__(self, key: str, value: Any) -> None:
        raise AssertionError("changed")


def test_command_and_trace_id_travel_with_the_parameters() -> None:
    """They stand beside the caller's own."""
    assert sent({"id": "7"}) == {"id": "7", "cmd": "orders.get", "trace_id": "T"}


@pytest.mark.parametrize("params", [None, {}])
def test_without_parameters_they_travel_alone(params: Any) -> None:
    """None is as good as an empty dict."""
    assert sent(params) == {"cmd": "orders.get", "trace_id": "T"}


def test_parameters_of_the_same_names_do_not_win() -> None:
    """What is called is said by the call, not by its parameters."""
    assert sent({"cmd": "drop", "trace_id": "X"}) == {"cmd": "orders.get", "trace_id": "T"}


def test_the_callers_dict_is_neither_changed_nor_copied_deeply() -> None:
    """Parameters may hold what cannot be copied."""
    inner = Untouchable(id=1)
    params = Untouchable(inner=inner)

    assert sent(params)["inner"] == {"id": 1}
    assert params == {"inner": {"id": 1}}


def test_text_is_sent_as_utf_8() -> None:
    """Not as escapes of six bytes a letter."""
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
def test_a_value_is_sent_as(value: Any, expected: Any) -> None:
    """What the toolkit serialises, and what users of Python expect beyond that."""
    assert sent({"value": value})["value"] == expected
    assert sent({"deep": [{"value": value}]})["deep"] == [{"value": expected}]


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
def test_what_the_toolkit_serialises_is_sent_in_the_same_form(value: Any) -> None:
    """A service that replaces its own client sees no difference."""
    assert sent({"value": value})["value"] == json.loads(JsonConverter.to_json({"value": value}))["value"]


@pytest.mark.defect(17)
@pytest.mark.defect(33)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"deep": {"er": math.inf}}])
def test_nan_and_infinity_are_refused(value: Any) -> None:
    """JSON has none; the error names the parameter."""
    error = refused({"ok": 1, "price": value})

    assert (error.code, error.status) == ("SERIALIZATION_FAILED", 400)
    assert error.details["parameter"] == "price"
    assert isinstance(error.__cause__, ValueError)


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
        {(1, 2): "a key that is no text"},
        {"in": [{"there": object()}]},
        10**5000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_is_refused_by_name(value: Any) -> None:
    """Before anything is sent, with the original as the cause."""
    error = refused({"id": "7", "bad": value})

    assert error.code == "SERIALIZATION_FAILED"
    assert error.details["parameter"] == "bad"
    assert "'bad'" in error.message
    assert error.__cause__ is not None


def test_what_contains_itself_is_refused() -> None:
    """A circle does not end in a stack overflow."""
    circle: list[Any] = []
    circle.append(circle)

    assert refused({"circle": circle}).details["parameter"] == "circle"


def test_what_is_nested_too_deeply_is_refused() -> None:
    """Neither does a very deep list."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]

    assert refused({"deep": deep}).details["parameter"] == "deep"


def test_a_name_that_is_no_text_is_refused() -> None:
    """Such a key has no form in JSON."""
    assert refused({("a", "b"): 1}).code == "SERIALIZATION_FAILED"


def test_an_object_whose_own_method_fails_is_refused() -> None:
    """The caller's code raises whatever it likes."""

    class Broken:
        def to_json(self) -> Any:
            raise KeyError("id")

    error = refused({"order": Broken()})

    assert isinstance(error.__cause__, KeyError)
    assert error.details["parameter"] == "order"


class Lazy(Mapping[str, Any]):
    """Reads its values when it is asked for them, and cannot read `gone`."""

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


def test_a_mapping_that_cannot_be_read_is_refused() -> None:
    """Reading the parameters is a part of serialising them."""
    error = refused(Lazy("gone"))

    assert error.code == "SERIALIZATION_FAILED"
    assert isinstance(error.__cause__, OSError)


def test_a_parameter_that_could_be_read_is_not_blamed() -> None:
    """For the next one, which could not."""
    assert "fine" not in refused(Lazy("fine", "gone")).message


def test_a_fault_that_no_single_parameter_has_is_told_without_a_name() -> None:
    """As a command that cannot be written down."""
    with pytest.raises(BadRequestException) as caught:
        encode(object(), "T", {"id": "7"}, LIMIT)  # type: ignore[arg-type]

    assert caught.value.code == "SERIALIZATION_FAILED"
    assert "parameter" not in (caught.value.details or {})


@pytest.mark.defect(41)
@pytest.mark.parametrize("params", [["id"], "id", 7, {"id"}, Plain(), b"{}", False], ids=lambda it: type(it).__name__)
def test_parameters_that_are_no_mapping_are_refused(params: Any) -> None:
    """They are named parameters: nothing else has names."""
    error = refused(params)

    assert error.code == "SERIALIZATION_FAILED"
    assert type(params).__name__ in error.message


def test_a_payload_at_the_limit_is_sent() -> None:
    """The limit itself is allowed."""
    size = len(encode("c", "T", {"é": "é"}, LIMIT))

    assert len(encode("c", "T", {"é": "é"}, size)) == size


def test_a_payload_over_the_limit_is_refused() -> None:
    """It counts bytes, not letters, and says both numbers."""
    size = len(encode("c", "T", {"é": "é"}, LIMIT))

    with pytest.raises(BadRequestException) as caught:
        encode("c", "T", {"é": "é"}, size - 1)

    assert (caught.value.code, caught.value.status) == ("PAYLOAD_TOO_LARGE", 413)
    assert caught.value.details == {"size": str(size), "limit": str(size - 1), "cmd": "c"}


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d🐎\udc00", "\udfff\ud800"])
def test_a_lone_surrogate_arrives(text: str) -> None:
    """It has no UTF-8, but JSON has an escape for it."""
    assert sent({text: [text]}) == {text: [text], "cmd": "orders.get", "trace_id": "T"}


def joined(text: str) -> str:
    """Two surrogates in a row are one character to every reader of JSON."""
    return str(json.loads(json.dumps(text)))


any_text = st.text(st.characters(exclude_categories=()), max_size=8).filter(lambda text: text == joined(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(any_text, json_values, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_json_value_arrives_as_it_was(params: dict[str, Any]) -> None:
    """Encoding and a reader of JSON are each other's opposite."""
    assert sent(params) == {**params, "cmd": "orders.get", "trace_id": "T"}


makers: list[Callable[[], Any]] = [object, Plain, WithDict, lambda: {1, 2}, lambda: math.nan, lambda: b"x", lambda: 1j]


@given(st.recursive(st.sampled_from(makers).map(lambda make: make()), lambda v: st.lists(v, max_size=2), max_leaves=5))
@settings(max_examples=30, deadline=None)
def test_any_object_is_sent_or_refused(value: Any) -> None:
    """Nothing but the one exception leaves."""
    with contextlib.suppress(BadRequestException):
        encode("c", "T", {"value": value}, LIMIT)
