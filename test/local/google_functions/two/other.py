"""A source file with another name, and with its own `shared` module."""

from functions_framework import aio
from shared import NAME


def name(request):
    return {"module": NAME}


@aio.http
async def asynchronous(request):
    return "late"
