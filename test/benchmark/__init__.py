"""Compares the cost of calls with that of other clients. `make bench` runs it, and `docs/performance.md` explains
it."""
