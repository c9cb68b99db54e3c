"""A source file of another name, with a module of its own."""

from functions_framework import aio
from shared import NAME


def name(request):
    return {"module": NAME}


@aio.http
async def asynchronous(request):
    return "late"
