"""Handlers for the tests of LambdaHost."""

# ruff: noqa: T201 - on Lambda, printing is logging

import json
import logging
import os
import signal
import socket
import subprocess
import sys


def echo(event, context):
    """Returns the handler's arguments and information about its process."""
    return {
        "event": event,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "pid": os.getpid(),
        "python": sys.executable,
        "runtime": "awslambdaric.bootstrap" in sys.modules,
    }


def other(event, context):
    """Returns another value than `echo`."""
    return "other"


def nothing(event, context):
    """Returns nothing."""


def environment(event, context):
    """Returns the environment, and the id of the parent process."""
    return {**os.environ, "PARENT": str(os.getppid())}


def fail(event, context):
    """Raises the exception that the event names."""
    raise {"ValueError": ValueError, "KeyError": KeyError}[event["type"]](event["message"])


def crash(event, context):
    """Ends the process without a response, if the event says so."""
    if event.get("crash"):
        os._exit(3)
    return "alive"


def hang(event, context):
    """Waits forever."""
    signal.pause()


def stubborn(event, context):
    """Starts a child, ignores all signals, and waits forever."""
    for name in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    print("pids", os.getpid(), child.pid)
    while True:
        signal.pause()


def gate(event, context):
    """Waits until the test sends a text, and returns it."""
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
        return gate.recv(100).decode()


def talk(event, context):
    """Writes output in each possible way."""
    print("from print")
    print("from stderr", file=sys.stderr)
    logging.getLogger("app").warning("from logging of %s", "app")
    print("ü" * event["length"])
    sys.stdout.write("no end")


def say(event, context):
    """Writes the text in the way that the event names, and ends in the way that it names."""
    text = event["text"]
    {
        "print": lambda: print(text, end=""),
        "stderr": lambda: print(text, end="", file=sys.stderr),
        "first stdout": lambda: sys.__stdout__.write(text),
        "descriptor": lambda: os.write(1, text.encode()),
        "child": lambda: subprocess.run(["/bin/sh", "-c", 'printf "$0" >&2', text], check=True),
        "/dev/stdout": lambda: subprocess.run(["/bin/sh", "-c", 'printf "$0" > /dev/stdout', text], check=True),
    }[event["by"]]()
    if event.get("then") == "exit":
        os._exit(3)
    if event.get("then") == "hang":
        signal.pause()
    if event.get("then") == "raise":
        raise ValueError("no")


def leave(event, context):
    """Leaves a child behind that writes after the response, and then waits."""
    subprocess.Popen(["/bin/sh", "-c", "sleep 0.2; echo left; exec sleep 60"])
    if event.get("exit"):
        os._exit(3)


def wait_for_all(event, context):
    """Returns the children of this process, although it has started none."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return "none"


def daemon(event, context):
    """Starts a process in its own session. The parent of that process ends first."""
    start = "from subprocess import *; print(Popen(['sleep', '60'], stdout=DEVNULL, start_new_session=True).pid)"
    return int(subprocess.check_output([sys.executable, "-c", start]))


def call(event, context):
    """Calls another function, without any settings."""
    import boto3  # a slow import, which the other handlers do not need

    client = boto3.client("lambda")
    response = client.invoke(FunctionName=event["function"], Payload=json.dumps({"from": context.function_name}))
    return json.load(response["Payload"])
