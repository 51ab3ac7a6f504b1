"""Loaded before any test, and with it the settings of the package `tests`."""
