"""Two functions have a module of this name, with different content."""

NAME = "one"
