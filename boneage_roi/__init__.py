"""Bone age from a hand radiograph, region by region."""

__version__ = "0.1.0"
