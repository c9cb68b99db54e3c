"""How a client finds its connection: configuration, discovery, credential stores."""

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
    """Resolves the connection and the credential of a function into one checked set of parameters.

    Configuration parameters:

    - `connection.discovery_key`: look the connection up in the referenced discovery services
    - `credential.store_key`: look the credential up in the referenced credential stores
    - `connections`, `credentials`: several, as numbered or named sections; the first that resolves is used
    - the provider's own keys, see `AzureConnectionParams` and `AwsConnectionParams`

    References:

    - `*:discovery:*:*:*`: (optional) `IDiscovery` services
    - `*:credential-store:*:*:*`: (optional) `ICredentialStore` stores
    """

    def __init__(self) -> None:
        # What is configured, and what the resolvers of pip-services4-azure let their subclasses read.
        self._connection_resolver = ConnectionResolver()
        self._credential_resolver = CredentialResolver()
        self._references: IReferences | None = None
        self._configuring = ProcessLock()

    def configure(self, config: ConfigParams) -> None:
        """Takes the connections and credentials; a second call replaces what the first set."""
        # New ones: theirs would add a second configuration to the first.
        connections = ConnectionResolver(config, self._references)
        credentials = CredentialResolver(config, self._references)
        with self._configuring.own:
            self._connection_resolver, self._credential_resolver = connections, credentials

    def set_references(self, references: IReferences) -> None:
        """Takes the references in which discovery services and credential stores are looked up."""
        self._references = references
        self._connection_resolver.set_references(references)
        self._credential_resolver.set_references(references)

    def resolve(self, context: CallContext = None) -> Params:
        """Finds and checks the parameters.

        Raises:
            ConfigException: nothing to connect to, a key that is not found, or a wrong value; it names the key.
        """
        # pip-services' own resolvers fail without references, and take an empty result of a store for a credential.
        asked = as_context(context)
        with self._configuring.own:
            connections = list(self._connection_resolver.get_all())
            credentials = self._credential_resolver.get_all()
        connection = self._find(
            asked,
            connections,
            ("connection.discovery_key", "NO_CONNECTION", "discovery"),
            lambda component, key: component.resolve_one(asked, key) if isinstance(component, IDiscovery) else None,
        )
        credential = self._find(
            asked,
            credentials,
            ("credential.store_key", "NO_CREDENTIALS", "credential-store"),
            lambda component, key: component.lookup(asked, key) if isinstance(component, ICredentialStore) else None,
        )
        merged = ConfigParams.merge_configs(connection, {k: v for k, v in credential.items() if v})
        return self._complete(asked, merged)

    @abstractmethod
    def _complete(self, context: IContext | None, config: ConfigParams) -> Params:
        """Makes the provider's parameters of what was found, checks them and fills in what follows from them."""

    def _find(
        self,
        context: IContext | None,
        sections: Sequence[ConfigParams],
        where: tuple[str, str, str],
        ask: Callable[[Any, str], ConfigParams | None],
    ) -> ConfigParams:
        """The first section that is complete in itself, else the first whose key some component knows."""
        setting, code, kind = where
        key_name = setting.partition(".")[2]
        keys = []
        for section in sections:
            if not section.get_as_nullable_string(key_name):
                return section
            keys.append(section.get_as_string(key_name))
        components = self._references.get_optional(Descriptor("*", kind, "*", "*", "*")) if self._references else []
        for section, key in zip(sections, keys, strict=True):
            for component in components:
                found = ask(component, key)
                if found:
                    return ConfigParams.merge_configs(section, found)
        if not keys:
            return ConfigParams()
        searched = (
            f"none of the {len(components)} referenced {kind} components knows it"
            if components
            else (f"there is no {kind} component in the references")
        )
        raise config_error(context, code, setting, f"{', '.join(map(repr, keys))} is not found: {searched}")
