"""The command line. It uses the library, and the library does not import it."""
