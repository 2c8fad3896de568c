"""What all commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

app = typer.Typer(name="boneage-roi", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


class Interrupted(Exception):
    """Ctrl-C, with what became of the work so far."""


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n".join(["Examples:", *(f"  boneage-roi {line}" for line in lines)])


@contextmanager
def interruptible(outcome: str) -> Iterator[None]:
    """Turn Ctrl-C into a line that says what became of the work so far."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted" + (f"; {outcome}" if outcome else "")) from None


def fail(message: str) -> int:
    """Say what is wrong in one line on stderr; the exit code that goes with it."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2
