"""The faults that tests inject with `fail`, on both hosts that serve HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault that a test injects into one call, before or instead of the function's response.

    Raises:
        ValueError: there is neither a status, a delay nor `drop`, or the status or a header is not valid.
    """

    status: int | None
    headers: Mapping[str, str]
    body: str | bytes | None
    delay: float  # seconds
    drop: bool
    run: bool

    def __post_init__(self) -> None:
        if self.status is None and not self.drop and not self.delay:
            raise ValueError("a fault needs a status, a delay or drop=True")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"{self.status} is not a valid HTTP status: it must be from 200 to 599")
        for name, value in self.headers.items():
            if re.search(r"[^\x20-\x7e\xa0-\xff]", f"{name}{value}"):
                raise ValueError(f"the header {name!r} contains a control character or one outside of Latin-1")

    @property
    def replaces_response(self) -> bool:
        """Whether the fault replaces the function's response. Otherwise it only delays it."""
        return self.drop or self.status is not None
