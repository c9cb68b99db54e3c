"""Clients that call serverless functions (Azure Functions, AWS Lambda) from pip-services components.

Import from the subpackages: `clients`, `connect`, and `local` for the hosts that run functions on this machine.
"""

__version__ = "0.1.0"
