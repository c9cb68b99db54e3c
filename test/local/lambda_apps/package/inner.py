"""A handler in a package."""

# ruff: noqa: ARG001 - Lambda passes both arguments

from . import __name__ as package


def handler(event, context):
    """Tell where it is."""
    return package
