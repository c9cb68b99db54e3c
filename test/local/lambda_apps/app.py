"""Handlers that do what the tests of LambdaHost want done."""

# ruff: noqa: T201 - Lambda passes both arguments, and printing is logging

import json
import logging
import os
import signal
import socket
import subprocess
import sys


def echo(event, context):
    """Answer with what the handler was given, and where it runs."""
    return {
        "event": event,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "pid": os.getpid(),
        "python": sys.executable,
        "runtime": "awslambdaric.bootstrap" in sys.modules,
    }


def other(event, context):
    """Be another handler than `echo`."""
    return "other"


def nothing(event, context):
    """Answer with nothing."""


def environment(event, context):
    """Answer with the environment."""
    return dict(os.environ)


def fail(event, context):
    """Raise the exception of the test's choice."""
    raise {"ValueError": ValueError, "KeyError": KeyError}[event["type"]](event["message"])


def crash(event, context):
    """End the process without an answer, if asked to."""
    if event.get("crash"):
        os._exit(3)
    return "alive"


def hang(event, context):
    """Wait forever."""
    signal.pause()


def stubborn(event, context):
    """Start a child, and wait forever, whatever signal comes."""
    for name in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    print("pids", os.getpid(), child.pid)
    while True:
        signal.pause()


def gate(event, context):
    """Wait until the test, which is connected to, says what to answer."""
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
        return gate.recv(100).decode()


def talk(event, context):
    """Say something in every way there is."""
    print("from print")
    print("from stderr", file=sys.stderr)
    logging.getLogger("app").warning("from logging of %s", "app")
    print("ü" * event["length"])
    sys.stdout.write("no end")


def call(event, context):
    """Call another function, with no settings of its own."""
    import boto3  # takes longer than all else here

    client = boto3.client("lambda")
    answer = client.invoke(FunctionName=event["function"], Payload=json.dumps({"from": context.function_name}))
    return json.load(answer["Payload"])
