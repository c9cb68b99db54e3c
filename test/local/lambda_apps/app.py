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
    """Answer with the environment, and the process that started this one."""
    return {**os.environ, "PARENT": str(os.getppid())}


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


def say(event, context):
    """Write the text in the way that the test wants, and end as it wants."""
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
    """Leave a child behind, which writes after the answer and then waits."""
    subprocess.Popen(["/bin/sh", "-c", "sleep 0.2; echo left; exec sleep 60"])
    if event.get("exit"):
        os._exit(3)


def wait_for_all(event, context):
    """Answer with the children that this process has, without having started one."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return "none"


def daemon(event, context):
    """Start a process in a session of its own, which its parent does not live to see end."""
    start = "from subprocess import *; print(Popen(['sleep', '60'], stdout=DEVNULL, start_new_session=True).pid)"
    return int(subprocess.check_output([sys.executable, "-c", start]))


def call(event, context):
    """Call another function, with no settings of its own."""
    import boto3  # takes longer than all else here

    client = boto3.client("lambda")
    answer = client.invoke(FunctionName=event["function"], Payload=json.dumps({"from": context.function_name}))
    return json.load(answer["Payload"])
