"""Has programs and processes do the work, and returns what they say."""

import multiprocessing
import os
import subprocess


def shrink(name, results):
    """Do the work of one process: there is no shared memory on Lambda, so no pool, but pipes."""
    os.write(1, f"shrinking {name}\n".encode())
    results.send(f"small-{name}")


def handler(event, context):
    """Return a name for each image."""
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
