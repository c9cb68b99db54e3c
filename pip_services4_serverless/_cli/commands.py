"""The commands, their options and their exit statuses. An error is one line on standard error."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from .. import __version__
from .failure import WRONG_USAGE, CommandError, one_line

if TYPE_CHECKING:
    from pip_services4_commons.errors import ApplicationException

_INTERRUPTED = 130  # 128 + the number of SIGINT, as in shells


class _WrongUsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _WrongUsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command, and returns its exit status."""
    with _open_streams():
        return _main(list(sys.argv[1:] if argv is None else argv))


@contextmanager
def _open_streams() -> Iterator[None]:
    """Discards what is written to a closed stream, which is None: `pip-serverless call >&-`."""
    with ExitStack() as stack:
        streams: tuple[tuple[TextIO | None, Any], ...]
        streams = ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr))
        for stream, redirect in streams:
            if stream is None:
                stack.enter_context(redirect(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        yield


def _main(given: list[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        return _complete()
    try:
        status = _run(given)
        sys.stdout.flush()
    except KeyboardInterrupt as err:
        return int(err.args[0]) if err.args else _INTERRUPTED
    except OSError as err:  # the output cannot be written; the interpreter must not flush it when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(err, BrokenPipeError):  # which only means that nobody reads the output
            sys.stderr.write(f"pip-serverless: {one_line(str(err))}\n")
        return 1
    return status


def _complete() -> int:
    """Prints the matching options, commands and values for a shell, with argcomplete of the extra `completion`."""
    try:
        from argcomplete import autocomplete
    except ModuleNotFoundError:
        return 1
    autocomplete(_parser())
    return 1  # only reached without a shell, because argcomplete ends the process


def _run(given: list[str]) -> int:
    from pip_services4_commons.errors import ApplicationException, BadRequestException

    as_json = "--json-errors" in given
    try:
        arguments = _parse(given)
        if arguments.command == "call":
            from .call import call

            return call(arguments)
        from .serve import demo, serve

        return demo() if arguments.command == "demo" else serve(arguments)
    except CommandError as err:
        return _print_error(err.error, err.status, as_json)
    except ApplicationException as err:
        return _print_error(err, WRONG_USAGE, as_json)
    except _WrongUsageError as err:
        return _print_error(BadRequestException(None, "WRONG_USAGE", str(err)), WRONG_USAGE, as_json)


def _parse(given: list[str]) -> argparse.Namespace:
    arguments, rest = _parser().parse_known_args(given)
    command = f"serve {arguments.provider}" if arguments.command == "serve" else arguments.command
    advice = f"(see pip-serverless {command} --help)"
    # The message has no values, because the value of an option that does not exist may be a key.
    unknown = [argument.partition("=")[0] for argument in rest if argument.startswith("-") and argument != "-"]
    if unknown:
        raise _WrongUsageError(f"unknown option {' '.join(unknown)} {advice}")
    # argparse does not assign positional arguments that come after an option.
    if arguments.command == "call":
        arguments.parameters += rest
        return arguments
    if "app" in arguments and rest and arguments.app is None:
        arguments.app = rest.pop(0)
    if rest:
        raise _WrongUsageError(f"unexpected argument: {rest[0]} {advice}")
    return arguments


def _print_error(error: ApplicationException, status: int, as_json: bool) -> int:
    """Prints an error as one line, because its message may contain line breaks and terminal codes."""
    if as_json:
        fields = ("category", "code", "status", "message", "trace_id", "details")
        line = json.dumps({field: getattr(error, field) for field in fields}, default=str)
    else:
        text = error.message
        if status != WRONG_USAGE:
            text = f"{type(error).__name__} {error.code} {error.status}: {text} (trace id {error.trace_id})"
        line = f"pip-serverless: {one_line(text)}"
    sys.stderr.write(line + "\n")
    return status


def _parser() -> argparse.ArgumentParser:
    example = "call --uri http://127.0.0.1:7071/api/greeter --cmd greet name=Ada"
    parser = _Parser(
        prog="pip-serverless", **_help("Calls serverless functions, and serves them on this machine.", example)
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{call,serve,demo}")
    example = "call --config config.yml --name greeter --cmd greet name=Ada times:=3"
    _add_call(commands.add_parser("call", help="call a function", **_help(_CALL, example, _STATUS)))
    example = "serve azure my_app > config.yml"
    serve = commands.add_parser("serve", help="serve functions on this machine, until Ctrl-C", **_help(_SERVE, example))
    kinds = serve.add_subparsers(dest="provider", required=True, metavar="{azure,google,lambda}")
    example = "serve azure my_app --port 7071 --no-keys > config.yml"
    azure = kinds.add_parser("azure", help="serve a function app", **_help(_SERVE, example))
    azure.add_argument("app", nargs="?", metavar="PATH", help="the function app's folder (default: .)")
    azure.add_argument("--no-keys", action="store_true", help="require no keys, like `func start`")
    azure.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the key of a function, or the host's as `default` and `_master` (default: generated); other users of "
        "this machine can see it: prefer --key-file or PIP_SERVERLESS_KEYS",
    )
    azure.add_argument("--key-file", metavar="FILE", help="a file with one NAME=VALUE per line (default: none)")
    example = "serve google orders=functions/orders > google.yml"
    google = kinds.add_parser("google", help="serve Google Cloud Functions", **_help(_SERVE, example))
    google.add_argument(
        "functions",
        nargs="+",
        metavar="NAME=PATH[:target]",
        help="PATH is a folder with main.py, or a file; target is the Python function (default: NAME)",
    )
    google.add_argument("--allow-unauthenticated", action="store_true", help="require no token")
    example = "serve lambda orders=functions/orders:app.handler > lambda.yml"
    aws = kinds.add_parser("lambda", help="serve Lambda functions", **_help(_SERVE, example))
    aws.add_argument(
        "functions", nargs="+", metavar="NAME=[PATH:]module.handler", help="PATH is a folder or a file (default: .)"
    )
    aws.add_argument("--region", default="us-east-1", help="the simulated AWS region (default: us-east-1)")
    aws.add_argument(
        "--timeout", type=int, default=3, metavar="S", help="timeout of a call, in seconds (default: 3, as on AWS)"
    )
    for provider in (azure, google, aws):
        provider.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1 (default: a free one)")
        provider.add_argument(
            "--reload", action="store_true", help="reload when code or settings in the folder change (default: no)"
        )
    commands.add_parser("demo", help="start the local hosts and call them with each client", **_help(_DEMO, "demo"))
    return parser


def _help(description: str, example: str, end: str = "") -> dict[str, Any]:
    """The texts of a command's help. They have one example, and their lines are not wrapped."""
    return {
        "description": description,
        "epilog": f"example:\n  pip-serverless {example}{end}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,  # otherwise --auth-code KEY would mean --auth-code-file
    }


def _add_call(call: argparse.ArgumentParser) -> None:
    call.add_argument(
        "parameters", nargs="*", metavar="PARAMETER", help="key=text, key:=json, or - to wait for standard input"
    )
    call.add_argument("--cmd", required=True, help="the command that the function runs")
    call.add_argument("--name", help="the service's name: NAME.CMD is sent; also selects the client in a file")
    providers = ["azure", "google", "lambda"]
    call.add_argument("--provider", choices=providers, help="only needed if the other options do not identify it")
    file = call.add_argument_group("the function, from a file")
    file.add_argument("--config", metavar="FILE", help="a YAML file in the format of pip-services containers")
    file.add_argument("--descriptor", help="selects the client in the file; its parts may be *")
    options = call.add_argument_group("the function, without a file")
    options.add_argument("--uri", help="Azure, Google: the function's URL, without its key")
    options.add_argument(
        "--auth-code-file", metavar="FILE", help="Azure: a file with the key; or set PIP_SERVERLESS_AUTH_CODE"
    )
    options.add_argument(
        "--auth-token-file", metavar="FILE", help="Google: a file with an ID token; or set PIP_SERVERLESS_AUTH_TOKEN"
    )
    options.add_argument("--arn", help="Lambda: the function's ARN or name; the keys come from AWS's credential chain")
    options.add_argument("--region", help="Lambda: the region, if the ARN does not contain it")
    options.add_argument("--endpoint", metavar="URL", help="Lambda: another endpoint, such as that of an emulator")
    how = call.add_argument_group("options of the call")
    how.add_argument("--timeout", metavar="MS", help="time for one attempt, in ms (default: Azure 10000, others 60000)")
    how.add_argument("--connect-timeout", metavar="MS", help="time to connect, in ms (default: 10000)")
    how.add_argument(
        "--total-timeout", metavar="MS", help="time for all attempts and waits, in ms (default: 0, no limit)"
    )
    how.add_argument("--retries", metavar="N", help="maximum number of retries (default: 3)")
    how.add_argument(
        "--idempotent",
        action="store_const",
        const="true",
        help="retry even if the command may have run already (default: no)",
    )
    how.add_argument("--one-way", action="store_true", help="Lambda: queue the call, and do not wait for its result")
    how.add_argument("--trace-id", help="the trace id, sent with the call and shown with an error (default: generated)")
    how.add_argument(
        "-v", "--verbose", action="store_true", help="write the client's log to standard error (default: no)"
    )
    how.add_argument("--json-errors", action="store_true", help="print an error as one line of JSON")


_CALL = """Calls a function and prints its response as JSON.
Parameters may be piped in as one JSON object. Those on the command line override them."""
_STATUS = """

exit status:
  0    the call succeeded
  1    the function or the provider reported an error
  2    wrong usage or settings
  3    no connection or no response
  130  Ctrl-C"""
_SERVE = "Serves until Ctrl-C.\nPrints a configuration for the clients; it can be passed to call --config."
_DEMO = "Starts the local hosts, calls one service through each of the clients, and checks every response."
