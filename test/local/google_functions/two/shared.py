"""A module that two functions have, each its own."""

NAME = "two"
