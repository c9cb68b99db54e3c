"""`call`: calls a function once."""

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
_PROVIDERS = {"azure": "Azure", "google": "Google", "lambda": "Lambda"}
# The setting of the secret, its environment variable, and the code of the error if its file cannot be read.
_SECRETS = {
    "azure": ("auth_code", AUTH_CODE, "NO_AUTH_CODE"),
    "google": ("auth_token", AUTH_TOKEN, "NO_AUTH_TOKEN"),
}
_LAMBDA_OPTIONS = ("arn", "region", "endpoint")
_CLIENT_OPTIONS = ("timeout", "connect_timeout", "total_timeout", "retries", "idempotent")


class _OneWayLambdaClient(CommandableLambdaClient):
    """Makes one-way calls: it does not wait for results."""

    def _call(self, cmd: str, context: Any, params: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.call_one_way(cmd, context, params, **options)


def call(arguments: argparse.Namespace) -> int:
    """Calls the function and prints its response.

    Raises:
        CommandError: the call failed.
        ApplicationException: the usage or the configuration is wrong. Nothing was sent.
    """
    params = _parameters(arguments.parameters)
    if arguments.config is None:
        found = _from_options(arguments)
    else:
        connection = ("uri", *_LAMBDA_OPTIONS, "auth_code_file", "auth_token_file")
        given = [name for name in connection if getattr(arguments, name) is not None]
        if given:
            raise _usage_error(f"--{given[0].replace('_', '-')} cannot be used with --config")
        found = config_file.find(arguments.config, arguments.provider, arguments.name, arguments.descriptor)
    for option in _CLIENT_OPTIONS:
        if getattr(arguments, option) is not None:
            found.config.put(f"options.{option}", getattr(arguments, option))
    if arguments.one_way and found.provider != "lambda":
        raise _usage_error(f"--one-way is for Lambda: {_PROVIDERS[found.provider]} has no such calls")
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
    """The exit status of an error. An error of the library has a `__cause__`, and one of the function has none."""
    if error.code in ("NO_COMMAND", "PAYLOAD_TOO_LARGE"):
        return WRONG_USAGE
    if error.__cause__ is not None and isinstance(error, ConnectionException):
        return NO_CONNECTION
    if error.__cause__ is not None and isinstance(error, BadRequestException | ConfigException):
        return WRONG_USAGE
    return FUNCTION_FAILED


def _from_options(arguments: argparse.Namespace) -> config_file.Found:
    lambda_options = [name for name in _LAMBDA_OPTIONS if getattr(arguments, name) is not None]
    if arguments.uri is None and not lambda_options:
        raise _usage_error("no function is given: set --config, --uri (Azure, Google) or --arn (Lambda)")
    provider = arguments.provider or ("lambda" if lambda_options else config_file.provider_of(arguments.uri))
    if provider != "lambda" and lambda_options:
        raise _usage_error(f"--{lambda_options[0]} is for Lambda")
    for own, (secret, _, _) in _SECRETS.items():
        if provider != own and getattr(arguments, f"{secret}_file") is not None:
            raise _usage_error(f"--{secret.replace('_', '-')}-file is for {_PROVIDERS[own]}")
    if arguments.descriptor is not None:
        raise _usage_error("--descriptor selects a client in a file: set --config")
    config = ConfigParams()
    for name in ("uri", *_LAMBDA_OPTIONS):
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
    except ValueError:  # not a valid URL: the client reports it
        return []


def _read(path: str, option: str, code: str) -> str:
    try:
        key = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise ConfigException(None, code, f"{option}: cannot read {path}: {reason}") from err
    if not key:
        raise ConfigException(None, code, f"{option}: {path} is empty")
    return key


def _parameters(given: list[str]) -> dict[str, Any]:
    """The parameters from standard input and from the command line, which takes precedence."""
    pairs = [argument for argument in given if argument != "-"]
    params = _document(standard_input.read(required=len(pairs) < len(given)))
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.rstrip(":"):
            raise _usage_error(f"{pair!r} is not key=text or key:=json")
        params[key.removesuffix(":")] = _json_parameter(value, key[:-1]) if key.endswith(":") else value
    reserved = params.keys() & {"cmd", "trace_id"}
    if reserved:
        option = f"--{min(reserved).replace('_', '-')}"
        raise _usage_error(f"the parameter {min(reserved)} is reserved: use {option}")
    return params


def _document(content: bytes) -> dict[str, Any]:
    if not content.strip():
        return {}
    try:
        document = _json(content)
    except ValueError as err:
        raise _usage_error(f"standard input is not valid JSON: {err}") from err
    if not isinstance(document, dict):
        raise _usage_error("standard input must be a JSON object with the parameters")
    return document


def _json_parameter(text: str, name: str) -> Any:
    try:
        return _json(text)
    except ValueError as err:
        message = f"the parameter {name} is not valid JSON: {err}. For text, use {name}=text"
        raise _usage_error(message) from err


def _json(text: str | bytes) -> Any:
    def reject(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    try:
        return json.loads(text, parse_constant=reject)
    except RecursionError as err:
        raise ValueError(str(err)) from err


def _print(result: Any) -> None:
    text = json.dumps(result, ensure_ascii=False)
    try:
        line = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        line = json.dumps(result).encode()
    # JSON is UTF-8, whatever the locale is.
    sys.stdout.buffer.write(line + b"\n")


def _usage_error(message: str) -> BadRequestException:
    return BadRequestException(None, "WRONG_USAGE", message)
