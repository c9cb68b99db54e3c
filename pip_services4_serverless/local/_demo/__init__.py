"""The demonstration calls one service on all providers, with a subclass of each client. `python -m` runs it."""
