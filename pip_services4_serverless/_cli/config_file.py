"""A client's configuration out of a YAML file as containers of pip-services read it.

Their own reader does not import on Python 3.13, so this does what it does: first the parameters, then YAML.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from pip_services4_config.auth import MemoryCredentialStore
from pip_services4_config.connect import MemoryDiscovery

_TAG = re.compile(r"(\{\{\{?)\s*(?:([#^/])\s*)?(?:(if|unless)\s+)?([\w-]+)\s*(\}\}\}?)")
_ESCAPES = str.maketrans(
    {"\\": r"\\", '"': r"\"", "/": r"\/", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
)
_KINDS = {"azure": "azure", "lambda": "lambda", "aws": "lambda", "cloudfunc": "google", "google": "google"}
_KEYS = {
    "google": {"project_id", "function", "auth_token"},
    "lambda": {"arn", "region", "account", "resource", "endpoint"},
    "azure": {"uri", "app_name", "function_name", "protocol", "auth_code"},
}


def provider_of(uri: str) -> str:
    """Whose function a URL is: Google's by its domains, else Azure's."""
    host = re.match(r"\w+://([^/?#:]*)", uri)
    return "google" if host and host[1].lower().endswith((".cloudfunctions.net", ".run.app")) else "azure"


class Found(NamedTuple):
    """A client's configuration."""

    provider: str
    config: ConfigParams
    references: References


class _Component(NamedTuple):
    name: str
    descriptor: Descriptor | None
    config: ConfigParams

    def is_client(self) -> bool:
        has_connection = not {"connection", "connections"}.isdisjoint(self.config.get_section_names())
        return has_connection and (self.descriptor is None or self.descriptor.get_type() == "client")

    def provider(self) -> str | None:
        """By the descriptor's kind, else by the keys of the connection."""
        kind = (self.descriptor and self.descriptor.get_kind()) or ""
        for word, provider in _KINDS.items():
            if word in kind:
                return provider
        keys = {key.rpartition(".")[2] for key in self.config if key.startswith(("connection", "credential"))}
        found = next((provider for provider, own in _KEYS.items() if own & keys), None)
        return provider_of(self.config.get_as_string("connection.uri")) if found == "azure" else found

    def __str__(self) -> str:
        return str(self.descriptor or self.name or "the file itself")


def find(path: str, provider: str | None, name: str | None, descriptor: str | None) -> Found:
    """The one client of the file that fits, with the file's own discovery and credential stores.

    Raises:
        ConfigException: The file cannot be read, or not exactly one client fits; the message has those that there are.
    """
    components = _components(read(path))
    clients = [component for component in components if component.is_client()]
    fitting = clients
    if descriptor is not None:
        pattern = Descriptor.from_string(descriptor)
        fitting = [item for item in components if item.descriptor and pattern and item.descriptor.match(pattern)]
    elif name is not None:
        fitting = [item for item in clients if item.name in ("", name)]
    if provider is not None:
        fitting = [item for item in fitting if item.provider() in (None, provider)]
    if len(fitting) != 1:
        problem = (
            "no client matches"
            if not fitting
            else f"{len(fitting)} clients match: select one by --name or --descriptor"
        )
        there = ", ".join(str(item) for item in fitting or clients) or "none with a connection"
        raise ConfigException(None, "NO_CLIENT", f"{path}: {problem}; the clients are: {there}")
    found = provider or fitting[0].provider()
    if found is None:
        raise ConfigException(None, "NO_PROVIDER", f"{path}: the provider of {fitting[0]} is not clear: set --provider")
    return Found(found, fitting[0].config, _stores(components))


def read(path: str) -> ConfigParams:
    """What a container would read from the file, with the environment for parameters.

    Raises:
        ConfigException: `WRONG_CONFIG`, naming the file and the line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise ConfigException(None, "WRONG_CONFIG", f"--config: cannot read {path}: {reason}") from err
    try:
        content = yaml.safe_load(parameterize(text, os.environ))
    except ValueError as err:
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: {err}") from err
    except yaml.YAMLError as err:
        # Not its whole text, which quotes the file, with what the environment put in.
        mark = getattr(err, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(err, "problem", None) or "an invalid character"
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: {line}not valid YAML: {problem}") from err
    if not isinstance(content, dict | list):
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: the file must be a list or a map of components")
    return ConfigParams.from_value(content)


def parameterize(text: str, parameters: Mapping[str, str]) -> str:
    """Fills in the parameters, as pip-services' mustache templates do.

    `{{X}}` is the value as it is, nothing where it is not set; `{{{X}}}` the value escaped, and an error where it is
    not set; `{{#X}}...{{/X}}` is there if X is set and not empty, `{{^X}}...{{/X}}` if not, `{{#if X}}` and
    `{{#unless X}}` likewise. Case does not matter in names.

    Raises:
        ValueError: A tag that is none of these, or a section that is not closed; the message has the line.
    """
    text = text.strip()
    values: dict[str, str] = {}
    for key, value in parameters.items():
        values[key.lower()] = values.get(key.lower()) or value
    result: list[str] = []
    sections: list[tuple[str, bool]] = []  # the name, and whether what is inside is shown
    position = 0
    while (start := text.find("{{", position)) >= 0:
        result.append(text[position:start] if _shown(sections) else "")
        line = text.count("\n", 0, start) + 1
        tag = _TAG.match(text, start)
        if not tag or len(tag[1]) != len(tag[5]) or (tag[3] and tag[2] != "#"):
            raise ValueError(f"line {line}: not a valid parameter: {text[start : start + 20].splitlines()[0]!r}")
        mark, name = tag[2], tag[4].lower()
        if mark == "/":
            if not sections or tag[4] not in (sections.pop()[0], "if", "unless"):
                raise ValueError(f"line {line}: {tag[0]} closes a section that is not open")
        elif mark:
            sections.append((tag[4], bool(values.get(name)) is not (mark == "^" or tag[3] == "unless")))
        elif _shown(sections):
            if len(tag[1]) == 3 and name not in values:
                raise ValueError(f"line {line}: the environment has no {tag[4]}")
            value = values.get(name, "")
            result.append(value.translate(_ESCAPES) if len(tag[1]) == 3 else value)
        position = tag.end()
    if sections:
        raise ValueError(f"the section {sections[-1][0]!r} is not closed")
    return "".join(result) + text[position:]


def _shown(sections: list[tuple[str, bool]]) -> bool:
    return all(shown for _, shown in sections)


def _components(config: ConfigParams) -> list[_Component]:
    """The components of a container, or the one that the whole file configures."""
    names = config.get_section_names()
    if not {"connection", "connections"}.isdisjoint(names):
        return [_component("", config)]
    return [_component(name, config.get_section(name)) for name in names]


def _component(section: str, config: ConfigParams) -> _Component:
    descriptor = Descriptor.from_string(config.get_as_nullable_string("descriptor"))
    return _Component((descriptor and descriptor.get_name()) or section, descriptor, config)


def _stores(components: list[_Component]) -> References:
    """The discovery services and credential stores that need nothing but the file."""
    classes = {("discovery", "memory"): MemoryDiscovery, ("credential-store", "memory"): MemoryCredentialStore}
    pairs: list[Any] = []
    for component in components:
        descriptor = component.descriptor
        made = descriptor and classes.get((descriptor.get_type(), descriptor.get_kind()))
        if made:
            pairs += [descriptor, made(component.config)]
    return References.from_tuples(*pairs)
