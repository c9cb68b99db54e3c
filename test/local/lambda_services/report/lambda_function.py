"""A script that was written in AWS's console. It shows its progress as on a terminal."""

# ruff: noqa: T201 - it logs with print

import logging
import sys

logging.getLogger().setLevel(logging.INFO)
print("loading...", end="")


def lambda_handler(event, context):
    """Counts to the number, and prints a dot for each step."""
    print("counting", end=" ")
    for _ in range(event["steps"]):
        print(".", end="", flush=True)
    logging.info("%d steps", event["steps"])
    sys.stderr.write("done")
    return event["steps"]
