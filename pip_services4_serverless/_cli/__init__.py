"""The command line. A user of the library: nothing in the library imports it."""
