"""The demonstration: one service, on both providers, through a subclass of each client. `python -m` runs it."""
