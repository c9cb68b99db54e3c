"""Shared by the functions of the app."""
