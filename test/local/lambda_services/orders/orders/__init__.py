"""A package with its dependency inside, as it is uploaded in a zip archive."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("_vendor")))
