"""The errors a user can cause, and the commonest of them: a name that is not in a dictionary."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line: what, where, and what to do."""


class RejectedError(InputError):
    """An image that can be read but must not get a bone age; the message is one line: what, and for which reasons.

    Attributes:
        reasons: each in words that a radiographer understands.
    """

    def __init__(self, source: str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"{source}: rejected: {'; '.join(reasons)}")
        self.reasons = reasons


def look_up(entries: Mapping[str, Value], name: str, what: str) -> Value:
    """The entry of a name.

    Args:
        what: what the entries are, for the message.

    Raises:
        InputError: there is none; the message lists the known ones.

    >>> look_up({"mean": 1, "ridge": 2}, "ridge", "fusion")
    2
    """
    if name not in entries:
        raise InputError(f"unknown {what} {name!r}; known are {', '.join(entries)}")
    return entries[name]
