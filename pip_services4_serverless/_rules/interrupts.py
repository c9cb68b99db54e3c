"""Recognizes an interrupt: an exception that a signal handler or another thread raised in the middle of other code.

A signal handler, such as Celery's soft time limit, and `PyThreadState_SetAsyncExc` can raise any exception class at any
instruction, also while the caller's code runs. The caller's code can raise any exception class, too.
"""

from __future__ import annotations

import os
from inspect import CO_VARARGS
from types import FrameType, TracebackType

import pip_services4_serverless

# What the interpreter, the standard library and C extensions raise by themselves.
_PLAIN = tuple(cls for cls in Exception.__subclasses__() if cls.__module__ == "builtins")
_OURS = (os.path.dirname(pip_services4_serverless.__file__) + os.sep, os.path.dirname(os.__file__) + os.sep, "<frozen ")
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_interrupt(
    err: BaseException, folders: tuple[str, ...] = (), raised: tuple[type[BaseException], ...] = ()
) -> bool:
    """Whether an exception is an interrupt, and was not raised by the code in its traceback.

    If this cannot be decided, the result is False: for built-in classes, and for exceptions in code that belongs
    neither to this package nor to Python nor to `folders`.

    Args:
        err: the exception that was caught.
        folders: the folders of libraries that raise only the classes in `raised` and built-in classes.
        raised: the exception classes of these libraries.
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
    """Whether a frame belongs to a signal handler: one of its arguments is the interrupted frame."""
    code = frame.f_code
    arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & CO_VARARGS:
        arguments += frame.f_locals.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    return any(argument is before for argument in arguments)


def _is_in(path: str, folders: tuple[str, ...]) -> bool:
    if path.startswith(folders) or path.startswith(_OURS[0]):
        return True
    return path.startswith(_OURS) and not any(package in path for package in _PACKAGES)
