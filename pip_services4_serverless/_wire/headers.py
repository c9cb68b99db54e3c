"""The headers of responses and requests. Names are case-insensitive."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self


class Headers(Mapping[str, Any]):
    """A response's headers. The values of a repeated header are joined by commas."""

    __slots__ = ("_by_name", "_text")

    _by_name: dict[str, tuple[str, Any]]
    _text: str

    def __init__(self, pairs: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._by_name = _group_by_name(pairs.items() if isinstance(pairs, Mapping) else pairs)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Creates headers from lines that llhttp has checked. The lines are parsed on first use."""
        headers = cls.__new__(cls)
        headers._text = text
        return headers

    def __getattr__(self, name: str) -> Any:
        if name != "_by_name":  # the only attribute that may not be set yet
            raise AttributeError(name)
        lines = [line.partition(":") for line in self._text.split("\r\n") if line]
        self._by_name = _group_by_name([(name, value.lstrip(" \t").rstrip(" ")) for name, _, value in lines])
        return self._by_name

    def __getitem__(self, name: str) -> Any:
        return self._by_name[name.lower()][1]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header, or the default if there is no such header."""
        found = self._by_name.get(name.lower())
        return default if found is None else found[1]

    def items(self) -> ItemsView[str, Any]:
        """The names, spelled as they were received or set, and the values."""
        return dict(self._by_name.values()).items()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def without(self, name: str) -> Headers:
        """The headers without one of them."""
        return Headers((key, value) for key, value in self.items() if key.lower() != name.lower())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)})"  # without values: one of them may be a secret


class RequestHeaders(Headers, MutableMapping[str, Any]):
    """A request's headers, which are fast to copy. A value may be bytes, as in requests."""

    __slots__ = ()

    def copy(self) -> RequestHeaders:
        """A copy, which can be changed independently."""
        headers = RequestHeaders.__new__(RequestHeaders)
        headers._by_name = self._by_name.copy()
        return headers

    def __setitem__(self, name: str, value: Any) -> None:
        self._by_name[name.lower()] = name, value

    def __delitem__(self, name: str) -> None:
        del self._by_name[name.lower()]


def _group_by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, tuple[str, Any]]:
    by_name: dict[str, tuple[str, Any]] = {}
    for name, value in pairs:
        key = name.lower()
        if key in by_name:
            first_name, first_value = by_name[key]
            by_name[key] = first_name, f"{first_value}, {value}"
        else:
            by_name[key] = name, value
    return by_name
