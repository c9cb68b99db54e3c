"""Finds misspelled settings in a configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pip_services4_components.config import ConfigParams

from .options import CALL_OPTIONS, COMMANDS, OPTIONS

# The minimum similarity of two names, between 0 and 1. That of `url` and `uri` is 0.67.
_KEY_SIMILARITY = 0.65
_SECTION_SIMILARITY = 0.85
_PLURALS = {"connections": "connection", "credentials": "credential"}
_SECTIONS = ("options", "connection", "connections", "credential", "credentials", "dependencies")


def misspelled(config: ConfigParams, known: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """Yields each unknown setting that is similar to a known one, and the known one.

    Args:
        config: a client's configuration.
        known: the known keys, by section (`options`, `connection`, `credential`).
    """
    from difflib import get_close_matches  # imported late: most configurations have no unknown settings

    for key in sorted(config.get_keys()):
        section, _, rest = key.partition(".")
        if not rest:
            continue
        if section not in _SECTIONS:
            for match in get_close_matches(section, _SECTIONS, 1, _SECTION_SIMILARITY):
                yield key, f"{match}.{rest}"
            continue
        if section == "options" and "." in rest:
            match = _correct_command_option(key)
            if match != key:
                yield key, match
            continue
        if section in _PLURALS:  # each key contains the number or the name of a connection
            prefix, _, name = rest.rpartition(".")
            prefix = f"{section}.{prefix}." if prefix else f"{section}."
        else:
            prefix, name = f"{section}.", rest
        names = known.get(_PLURALS.get(section, section), ())
        if "." not in name and name not in names:
            for match in get_close_matches(name.lower(), names, 1, _KEY_SIMILARITY):
                yield key, f"{prefix}{match}"


def _correct_command_option(key: str) -> str:
    """The correct name for a misspelled `options.commands.<cmd>.<option>`, or the key itself."""
    from difflib import get_close_matches

    head, _, rest = key.removeprefix("options.").partition(".")
    cmd, _, name = rest.rpartition(".")
    if not get_close_matches(head.lower(), ("commands",), 1, _SECTION_SIMILARITY):
        return key
    if name in OPTIONS and name not in CALL_OPTIONS:
        return f"options.{name}"
    matches = get_close_matches(name.lower(), CALL_OPTIONS, 1, _KEY_SIMILARITY)
    return f"{COMMANDS}{cmd or '<command>'}.{matches[0]}" if matches else key
