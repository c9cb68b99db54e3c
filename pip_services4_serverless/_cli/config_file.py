"""Reads the configuration of a client from a YAML file, like the containers of pip-services.

Their own reader cannot be imported on Python 3.13. Like it, this module first replaces parameters, then parses YAML.
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
    """The provider of a URL. The domains of Google are known, and all others mean Azure."""
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
        """The provider, from the kind of the descriptor, or else from the keys of the connection."""
        kind = (self.descriptor and self.descriptor.get_kind()) or ""
        for word, provider in _KINDS.items():
            if word in kind:
                return provider
        keys = {key.rpartition(".")[2] for key in self.config if key.startswith(("connection", "credential"))}
        found = next((provider for provider, own in _KEYS.items() if own & keys), None)
        return provider_of(self.config.get_as_string("connection.uri")) if found == "azure" else found

    def __str__(self) -> str:
        return str(self.descriptor or self.name or "the unnamed client")


def find(path: str, provider: str | None, name: str | None, descriptor: str | None) -> Found:
    """The only client of the file that matches, with the discovery services and credential stores of the file.

    Raises:
        ConfigException: the file cannot be read, or not exactly one client matches. The message lists the clients.
    """
    try:
        config = read(path)
    except RecursionError as err:
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: the file is nested too deeply") from err
    try:
        components = _components(config)
    except ConfigException as err:
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: the descriptor {_format_error(err)}") from err
    clients = [component for component in components if component.is_client()]
    matches = clients
    if descriptor is not None:
        try:
            pattern = Descriptor.from_string(descriptor)
        except ConfigException as err:
            raise ConfigException(None, "WRONG_USAGE", f"--descriptor: {_format_error(err)}") from err
        matches = [item for item in components if item.descriptor and pattern and item.descriptor.match(pattern)]
    elif name is not None:
        matches = [item for item in clients if item.name in ("", name)]
    if provider is not None:
        matches = [item for item in matches if item.provider() in (None, provider)]
    if len(matches) != 1:
        problem = "no client matches"
        if matches:
            problem = f"{len(matches)} clients match: select one by --name or --descriptor"
        listed = ", ".join(str(item) for item in matches or clients)
        clients_found = f"the clients are: {listed}" if listed else "no component has a connection"
        raise ConfigException(None, "NO_CLIENT", f"{path}: {problem}; {clients_found}")
    found = provider or matches[0].provider()
    if found is None:
        message = f"{path}: cannot tell whether {matches[0]} is for Azure, Google or Lambda: set --provider"
        raise ConfigException(None, "NO_PROVIDER", message)
    return Found(found, matches[0].config, _stores(components))


def read(path: str) -> ConfigParams:
    """Reads the file as a container would. Environment variables are the parameters.

    Raises:
        ConfigException: `WRONG_CONFIG`, with the file and the line.
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
        # The whole text of the exception would quote the file, with secrets from the environment.
        mark = getattr(err, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(err, "problem", None) or "an invalid character"
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: {line}not valid YAML: {problem}") from err
    if not isinstance(content, dict | list):
        raise ConfigException(None, "WRONG_CONFIG", f"{path}: the file must be a list or a map of components")
    if isinstance(content, dict):
        content = {str(key): value for key, value in content.items()}
    return ConfigParams.from_value(content)


def parameterize(text: str, parameters: Mapping[str, str]) -> str:
    """Replaces the parameters, like the mustache templates of pip-services. Names are not case-sensitive.

    - `{{X}}` is replaced by the value, or by nothing if X is not set.
    - `{{{X}}}` is replaced by the escaped value. It is an error if X is not set.
    - `{{#X}}...{{/X}}` and `{{#if X}}...{{/if}}` keep their text if X is set and not empty.
    - `{{^X}}...{{/X}}` and `{{#unless X}}...{{/unless}}` keep their text otherwise.

    Raises:
        ValueError: there is another tag, or a section is not closed. The message has the line.
    """
    text = text.strip()
    values: dict[str, str] = {}
    for key, value in parameters.items():
        values[key.lower()] = values.get(key.lower()) or value
    result: list[str] = []
    sections: list[tuple[str, bool]] = []  # the name, and whether the text is kept
    position = 0
    while (start := text.find("{{", position)) >= 0:
        result.append(text[position:start] if _is_kept(sections) else "")
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
        elif _is_kept(sections):
            if len(tag[1]) == 3 and name not in values:
                raise ValueError(f"line {line}: the environment variable {tag[4]} is not set")
            value = values.get(name, "")
            result.append(value.translate(_ESCAPES) if len(tag[1]) == 3 else value)
        position = tag.end()
    if sections:
        raise ValueError(f"the section {sections[-1][0]!r} is not closed")
    return "".join(result) + text[position:]


def _is_kept(sections: list[tuple[str, bool]]) -> bool:
    return all(kept for _, kept in sections)


def _components(config: ConfigParams) -> list[_Component]:
    """The components of a container, or the only one, if the whole file is its configuration."""
    names = config.get_section_names()
    if not {"connection", "connections"}.isdisjoint(names):
        return [_component("", config)]
    return [_component(name, config.get_section(name)) for name in names]


def _format_error(error: ConfigException) -> str:
    return f"{error.details.get_as_string('descriptor')!r} must have the form group:type:kind:name:version"


def _component(section: str, config: ConfigParams) -> _Component:
    descriptor = Descriptor.from_string(config.get_as_nullable_string("descriptor"))
    return _Component((descriptor and descriptor.get_name()) or section, descriptor, config)


def _stores(components: list[_Component]) -> References:
    """The discovery services and credential stores of the file. Only those in memory are supported."""
    classes = {("discovery", "memory"): MemoryDiscovery, ("credential-store", "memory"): MemoryCredentialStore}
    pairs: list[Any] = []
    for component in components:
        descriptor = component.descriptor
        made = descriptor and classes.get((descriptor.get_type(), descriptor.get_kind()))
        if made:
            pairs += [descriptor, made(component.config)]
    return References.from_tuples(*pairs)
