"""`call`: one call of one function."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    ConnectionException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References

from ..clients import CommandableAzureFunctionClient, CommandableCloudFunctionClient, CommandableLambdaClient
from . import config_file, standard_input
from .failure import FUNCTION_FAILED, NO_CONNECTION, WRONG_USAGE, CommandError

AUTH_CODE = "PIP_SERVERLESS_AUTH_CODE"
AUTH_TOKEN = "PIP_SERVERLESS_AUTH_TOKEN"  # noqa: S105 (the name of a variable)
_NAMES = {"azure": "Azure", "google": "Google", "lambda": "Lambda"}
# The setting, its environment variable, and the code if its file cannot be read.
_SECRETS = {
    "azure": ("auth_code", AUTH_CODE, "NO_AUTH_CODE"),
    "google": ("auth_token", AUTH_TOKEN, "NO_AUTH_TOKEN"),
}
_OF_LAMBDA = ("arn", "region", "endpoint")
_OPTIONS = ("timeout", "connect_timeout", "total_timeout", "retries", "idempotent")


class _OneWayLambdaClient(CommandableLambdaClient):
    """Queues its commands instead of waiting for their results."""

    def _call(self, cmd: str, context: Any, params: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.call_one_way(cmd, context, params, **options)


def call(arguments: argparse.Namespace) -> int:
    """Calls the function and prints its response. Raises `CommandError`, or before the call `ApplicationException`."""
    params = _parameters(arguments.parameters)
    if arguments.config is None:
        found = _from_options(arguments)
    else:
        connection = ("uri", *_OF_LAMBDA, "auth_code_file", "auth_token_file")
        given = [name for name in connection if getattr(arguments, name) is not None]
        if given:
            raise _usage_error(f"--{given[0].replace('_', '-')} cannot be used with --config")
        found = config_file.find(arguments.config, arguments.provider, arguments.name, arguments.descriptor)
    for option in _OPTIONS:
        if getattr(arguments, option) is not None:
            found.config.put(f"options.{option}", getattr(arguments, option))
    if arguments.one_way and found.provider != "lambda":
        raise _usage_error(f"--one-way is for Lambda: {_NAMES[found.provider]} has no such calls")
    clients: Mapping[str, Any] = {
        "azure": CommandableAzureFunctionClient,
        "google": CommandableCloudFunctionClient,
        "lambda": _OneWayLambdaClient if arguments.one_way else CommandableLambdaClient,
    }
    client = clients[found.provider](arguments.name)
    context = arguments.trace_id
    client.configure(found.config)
    if arguments.verbose:
        from .log import StandardErrorLogger

        logger = Descriptor("pip-serverless", "logger", "standard-error", "default", "1.0")
        found.references.put(logger, StandardErrorLogger())
    client.set_references(found.references)
    client.open(context)
    try:
        result = client.call_command(arguments.cmd, context, params)
    except ApplicationException as err:
        raise CommandError(_status(err), err) from err
    finally:
        client.close(context)
    if not arguments.one_way:
        _print(result)
    return 0


def _status(error: ApplicationException) -> int:
    """The exit status of an error. Only the library's own errors have a Python cause; others are the function's."""
    if error.code in ("NO_COMMAND", "PAYLOAD_TOO_LARGE"):
        return WRONG_USAGE
    if error.__cause__ is not None and isinstance(error, ConnectionException):
        return NO_CONNECTION
    if error.__cause__ is not None and isinstance(error, BadRequestException | ConfigException):
        return WRONG_USAGE
    return FUNCTION_FAILED


def _from_options(arguments: argparse.Namespace) -> config_file.Found:
    of_lambda = [name for name in _OF_LAMBDA if getattr(arguments, name) is not None]
    if arguments.uri is None and not of_lambda:
        raise _usage_error("no function is given: set --config, --uri (Azure, Google) or --arn (Lambda)")
    provider = arguments.provider or ("lambda" if of_lambda else config_file.provider_of(arguments.uri))
    if provider != "lambda" and of_lambda:
        raise _usage_error(f"--{of_lambda[0]} is for Lambda")
    for own, (secret, _, _) in _SECRETS.items():
        if provider != own and getattr(arguments, f"{secret}_file") is not None:
            raise _usage_error(f"--{secret.replace('_', '-')}-file is for {_NAMES[own]}")
    if arguments.descriptor is not None:
        raise _usage_error("--descriptor selects a client in a file: set --config")
    config = ConfigParams()
    for name in ("uri", *_OF_LAMBDA):
        value = getattr(arguments, name)
        if value is not None:
            config.put(f"connection.{name}", value)
    if arguments.uri is not None and any(name.lower() == "code" for name, _ in _query(arguments.uri)):
        raise _usage_error(
            f"--uri contains a key that others can see. Remove ?code= and use --auth-code-file or {AUTH_CODE}"
        )
    if provider in _SECRETS:
        secret, variable, code = _SECRETS[provider]
        path = getattr(arguments, f"{secret}_file")
        option = f"--{secret.replace('_', '-')}-file"
        config.put(f"credential.{secret}", os.environ.get(variable) if path is None else _read(path, option, code))
    return config_file.Found(provider, config, References())


def _query(uri: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(uri).query, keep_blank_values=True)
    except ValueError:  # no URL at all: the client says so
        return []


def _read(path: str, option: str, code: str) -> str:
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise ConfigException(None, code, f"{option}: cannot read {path}: {reason}") from err
    if not key:
        raise ConfigException(None, code, f"{option}: {path} is empty")
    return key


def _parameters(given: list[str]) -> dict[str, Any]:
    """The parameters of the command line, over those of a document on standard input."""
    pairs = [argument for argument in given if argument != "-"]
    params = _document(standard_input.read(asked=len(pairs) < len(given)))
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.rstrip(":"):
            raise _usage_error(f"{pair!r} is not key=text or key:=json")
        params[key.removesuffix(":")] = _json(value, key) if key.endswith(":") else value
    reserved = params.keys() & {"cmd", "trace_id"}
    if reserved:
        option = f"--{min(reserved).replace('_', '-')}"
        raise _usage_error(f"the parameter {min(reserved)} is reserved: use {option}")
    return params


def _document(content: bytes) -> dict[str, Any]:
    if not content.strip():
        return {}
    document = _json(content, "standard input")
    if not isinstance(document, dict):
        raise _usage_error("standard input must be a JSON object with the parameters")
    return document


def _json(text: str | bytes, where: str) -> Any:
    def no_number(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    try:
        return json.loads(text, parse_constant=no_number)
    except (ValueError, RecursionError) as err:
        raise _usage_error(f"{where} is not valid JSON: {err}") from err


def _print(result: Any) -> None:
    text = json.dumps(result, ensure_ascii=False)
    try:
        line = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        line = json.dumps(result).encode()
    # In UTF-8 whatever the locale is: it is JSON.
    sys.stdout.buffer.write(line + b"\n")


def _usage_error(message: str) -> BadRequestException:
    return BadRequestException(None, "WRONG_USAGE", message)
