"""Resolves a client's connection and credential: from its configuration, discovery services and credential stores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from pip_services4_components.config import ConfigParams, IConfigurable
from pip_services4_components.context import IContext
from pip_services4_components.refer import Descriptor, IReferenceable, IReferences
from pip_services4_config.auth import CredentialResolver, ICredentialStore
from pip_services4_config.connect import ConnectionResolver, IDiscovery

from .._context import CallContext, as_context
from .._locks import ProcessLock
from .._tracebacks import hide_failures
from ._config_errors import config_error
from ._connection_params import ServerlessConnectionParams

__tracebackhide__ = hide_failures

Params = TypeVar("Params", bound=ServerlessConnectionParams)


class ServerlessConnectionResolver(IConfigurable, IReferenceable, Generic[Params]):
    """Resolves the connection and the credential of a function, and checks them.

    Configuration parameters:

    - `connection.discovery_key`: look the connection up in the referenced discovery services
    - `credential.store_key`: look the credential up in the referenced credential stores
    - `connections`, `credentials`: several numbered or named sections. The first one without a `discovery_key` (or
      `store_key`) is used, or else the first one whose key is found
    - the keys of the provider: see `AzureConnectionParams`, `AwsConnectionParams` and `GcpConnectionParams`

    References:

    - `*:discovery:*:*:*`: (optional) `IDiscovery` services
    - `*:credential-store:*:*:*`: (optional) `ICredentialStore` stores
    """

    def __init__(self) -> None:
        # They hold the configured sections. Subclasses of the resolvers in pip-services4-azure may use these fields.
        self._connection_resolver = ConnectionResolver()
        self._credential_resolver = CredentialResolver()
        self._references: IReferences | None = None
        self._lock = ProcessLock()  # the two resolvers are replaced and read together

    def configure(self, config: ConfigParams) -> None:
        """Sets the connections and credentials. A second call replaces those of the first."""
        # New resolvers, because a second `configure` of the same resolver would keep the sections of the first.
        connections = ConnectionResolver(config, self._references)
        credentials = CredentialResolver(config, self._references)
        with self._lock.own:
            self._connection_resolver, self._credential_resolver = connections, credentials

    def set_references(self, references: IReferences) -> None:
        """Sets the references to discovery services and credential stores."""
        self._references = references
        self._connection_resolver.set_references(references)
        self._credential_resolver.set_references(references)

    def resolve(self, context: CallContext = None) -> Params:
        """Finds the parameters, checks them, and adds those that follow from others.

        Raises:
            ConfigException: there is no connection, a key is not found, or a value is wrong. The message names the key.
        """
        # `resolve` of pip-services fails without references, and accepts the empty result of a store as a credential.
        resolved = as_context(context)
        with self._lock.own:
            connections = list(self._connection_resolver.get_all())
            credentials = self._credential_resolver.get_all()
        connection = self._look_up(
            resolved,
            connections,
            ("connection.discovery_key", "NO_CONNECTION", "discovery"),
            lambda component, key: component.resolve_one(resolved, key) if isinstance(component, IDiscovery) else None,
        )
        credential = self._look_up(
            resolved,
            credentials,
            ("credential.store_key", "NO_CREDENTIALS", "credential-store"),
            lambda component, key: component.lookup(resolved, key) if isinstance(component, ICredentialStore) else None,
        )
        merged = ConfigParams.merge_configs(connection, {k: v for k, v in credential.items() if v})
        return self._make_params(resolved, merged)

    @abstractmethod
    def _make_params(self, context: IContext | None, config: ConfigParams) -> Params:
        """Makes the provider's parameters from the merged sections, checks them, and adds those that follow."""

    def _look_up(
        self,
        context: IContext | None,
        sections: Sequence[ConfigParams],
        setting: tuple[str, str, str],
        find: Callable[[Any, str], ConfigParams | None],
    ) -> ConfigParams:
        """Returns the first section without a key, or the first section whose key is found, merged with the result.

        Args:
            context: passed to the components, and used in errors.
            sections: the configured `connection` or `credential` sections.
            setting: the name of the key, the code of the error, and the type of the components to search.
            find: searches a component for a key.

        Raises:
            ConfigException: no component contains any of the keys.
        """
        name, code, component_type = setting
        key_name = name.partition(".")[2]
        keys = []
        for section in sections:
            if not section.get_as_nullable_string(key_name):
                return section
            keys.append(section.get_as_string(key_name))
        if not keys:
            return ConfigParams()
        descriptor = Descriptor("*", component_type, "*", "*", "*")
        components = self._references.get_optional(descriptor) if self._references else []
        for section, key in zip(sections, keys, strict=True):
            for component in components:
                if found := find(component, key):
                    return ConfigParams.merge_configs(section, found)
        reason = (
            f"none of the {len(components)} {component_type} components in the references contains it"
            if components
            else f"the references contain no {component_type} component"
        )
        verb = "is" if len(keys) == 1 else "are"
        raise config_error(context, code, name, f"{', '.join(map(repr, keys))} {verb} not found: {reason}")
