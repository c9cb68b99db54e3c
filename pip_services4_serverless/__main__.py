# PYTHON_ARGCOMPLETE_OK
"""`python -m pip_services4_serverless`, the same as the script `pip-serverless`."""

import sys

from ._cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
