"""Starts programs and processes, and returns their results."""

import multiprocessing
import os
import subprocess


def shrink(name, results):
    """The work of one process. Lambda has no shared memory, so it uses pipes instead of a pool."""
    os.write(1, f"shrinking {name}\n".encode())
    results.send(f"small-{name}")


def handler(event, context):
    """Returns a name for each image."""
    os.system("echo converting with sh; echo no colours >&2")  # noqa: S605, S607
    subprocess.run(["printf", "%s images", str(len(event["images"]))], check=True)  # noqa: S607
    names = []
    for image in event["images"]:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=shrink, args=(image, there))
        process.start()
        names.append(here.recv())
        process.join()
    return names
