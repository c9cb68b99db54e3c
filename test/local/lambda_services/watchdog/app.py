"""Ends its process when its state is beyond repair, so that the next call gets a new one."""

# ruff: noqa: T201 - its way of logging

import os


class Cache:
    """A class as the home of handlers."""

    broken = False

    @classmethod
    def get(cls, event, _):
        """Answer, or give up."""
        if cls.broken or event.get("break"):
            print("cache is broken, restarting", end="")
            os._exit(70)
        return {"hit": True}


get = Cache.get
