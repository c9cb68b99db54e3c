"""The factory with which a container creates the clients."""

from .default_serverless_factory import DefaultServerlessFactory

__all__ = ["DefaultServerlessFactory"]
