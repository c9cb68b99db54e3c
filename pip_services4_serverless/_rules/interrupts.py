"""Tells an exception that called code raised from one that was raised into it from outside.

A signal's handler (Celery's soft time limit) and `PyThreadState_SetAsyncExc` raise whatever class they like, wherever
the thread happens to be. Code of the caller's, which may raise any class as well, can be running there.
"""

from __future__ import annotations

import os
from inspect import CO_VARARGS
from types import FrameType, TracebackType

import pip_services4_serverless

# What the interpreter, the standard library and functions written in C raise. Nobody else's code is behind a class that
# derives from `Exception` alone.
_PLAIN = tuple(cls for cls in Exception.__subclasses__() if cls.__module__ == "builtins")
_OURS = (os.path.dirname(pip_services4_serverless.__file__) + os.sep, os.path.dirname(os.__file__) + os.sep, "<frozen ")
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_interrupt(
    err: BaseException, folders: tuple[str, ...] = (), raised: tuple[type[BaseException], ...] = ()
) -> bool:
    """Whether an exception was raised into the code that it was caught from.

    What cannot be told apart counts as raised by the code: a built-in class, and whatever is raised between two
    instructions of code that is neither ours nor Python's.

    Args:
        folders: of libraries whose own code raises nothing but `raised` and built-in classes.
    """
    last: TracebackType | None = None
    is_known = True
    traceback = err.__traceback__
    while traceback is not None:
        if last is not None and _handles_signal(traceback.tb_frame, last.tb_frame):
            return True
        is_known = is_known and _is_in(traceback.tb_frame.f_code.co_filename, folders)
        last, traceback = traceback, traceback.tb_next
    return is_known and not isinstance(err, (*_PLAIN, *raised))


def _handles_signal(frame: FrameType, before: FrameType) -> bool:
    """A handler is called with a signal's number and the very frame that it interrupts."""
    code = frame.f_code
    arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & CO_VARARGS:
        arguments += frame.f_locals.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    return any(argument is before for argument in arguments)


def _is_in(path: str, folders: tuple[str, ...]) -> bool:
    if path.startswith(folders) or path.startswith(_OURS[0]):
        return True
    return path.startswith(_OURS) and not any(package in path for package in _PACKAGES)
