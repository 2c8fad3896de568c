"""Measurements of the package: each file is a command of its own."""
