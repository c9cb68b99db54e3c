"""Made in the console: a script with a handler, which shows its progress as on a terminal."""

# ruff: noqa: T201 - its way of logging

import logging
import sys

logging.getLogger().setLevel(logging.INFO)
print("loading...", end="")


def lambda_handler(event, context):
    """Count to the number, with a dot for each step."""
    print("counting", end=" ")
    for _ in range(event["steps"]):
        print(".", end="", flush=True)
    logging.info("%d steps", event["steps"])
    sys.stderr.write("done")
    return event["steps"]
