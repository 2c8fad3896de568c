"""The one error a user can cause."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line: what, where, and what to do."""
