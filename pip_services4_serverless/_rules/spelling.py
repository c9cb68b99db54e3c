"""Finds misspelled settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pip_services4_components.config import ConfigParams

from .options import CALL_OPTIONS, COMMANDS, OPTIONS

_LIKENESS = 0.65  # of a key, between 0 and 1; `url` and `uri` have 0.67
_SECTION_LIKENESS = 0.85
_PLURALS = {"connections": "connection", "credentials": "credential"}
_SECTIONS = ("options", "connection", "connections", "credential", "credentials", "dependencies")


def misspelled(config: ConfigParams, known: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """Each unknown setting that resembles a known one, with the known name.

    Args:
        config: a client's configuration.
        known: the keys by section (`options`, `connection`, `credential`).
    """
    from difflib import get_close_matches  # imported late: most configurations have no unknown settings

    for key in sorted(config.get_keys()):
        section, _, rest = key.partition(".")
        if not rest:
            continue
        if section not in _SECTIONS:
            for right in get_close_matches(section, _SECTIONS, 1, _SECTION_LIKENESS):
                yield key, f"{right}.{rest}"
            continue
        if section == "options" and "." in rest:
            right = _of_one_command(key)
            if right != key:
                yield key, right
            continue
        if section in _PLURALS:  # with a number or a name in each key
            prefix, _, name = rest.rpartition(".")
            prefix = f"{section}.{prefix}." if prefix else f"{section}."
        else:
            prefix, name = f"{section}.", rest
        names = known.get(_PLURALS.get(section, section), ())
        if "." not in name and name not in names:
            for right in get_close_matches(name.lower(), names, 1, _LIKENESS):
                yield key, f"{prefix}{right}"


def _of_one_command(key: str) -> str:
    """The likely name of a key `options.commands.<cmd>.<option>`, or the key itself."""
    from difflib import get_close_matches

    head, _, rest = key.removeprefix("options.").partition(".")
    cmd, _, name = rest.rpartition(".")
    if not get_close_matches(head.lower(), ("commands",), 1, _SECTION_LIKENESS):
        return key
    if name in OPTIONS and name not in CALL_OPTIONS:
        return f"options.{name}"
    likely = get_close_matches(name.lower(), CALL_OPTIONS, 1, _LIKENESS)
    return f"{COMMANDS}{cmd or '<command>'}.{likely[0]}" if likely else key
