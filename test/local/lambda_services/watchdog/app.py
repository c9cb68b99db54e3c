"""Ends its process if its state is broken, so that the next call gets a new process."""

# ruff: noqa: T201 - it logs with print

import os


class Cache:
    """A class with a handler."""

    broken = False

    @classmethod
    def get(cls, event, _):
        """Returns a result, or ends the process."""
        if cls.broken or event.get("break"):
            print("cache is broken, restarting", end="")
            os._exit(70)
        return {"hit": True}


get = Cache.get
