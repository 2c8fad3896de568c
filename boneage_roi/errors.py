"""The errors a user can cause."""


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
