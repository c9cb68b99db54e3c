"""A package with a handler."""
