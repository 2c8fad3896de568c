"""What all commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="boneage-roi", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


class Interrupted(Exception):
    """Ctrl-C, with what became of the work so far."""


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n".join(["Examples:", *(f"  boneage-roi {line}" for line in lines)])


def given_path(text: str | Path) -> Path:
    """A path as it was typed; an empty one, such as that of an unset variable, would mean the current folder."""
    if not str(text).strip():
        raise typer.BadParameter("the path is empty.")
    return Path(text)


def given_input(text: str | Path) -> str | Path:
    """A path or a URL as it was typed."""
    return text if "://" in str(text) else given_path(text)


OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Write over files that this command did not make; never over inputs.")
]


@contextmanager
def interruptible(outcome: str) -> Iterator[None]:
    """Turn Ctrl-C into a line that says what became of the work so far."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted" + (f"; {outcome}" if outcome else "")) from None


def printable(text: object) -> str:
    """Text that does nothing to a terminal but show itself: control characters become ``\\x1b`` and the like.

    The bytes of a file's name that are no text in the current locale are shown as UTF-8 where they are that.
    """
    plain = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in plain)


def say(text: object) -> None:
    """Print one line to stdout."""
    print(printable(text))


def warn(text: object) -> None:
    """Print one line to stderr."""
    print(printable(text), file=sys.stderr)


def fail(message: str) -> int:
    """Say what is wrong in one line on stderr; the exit code that goes with it."""
    warn(f"error: {' '.join(message.split())}")
    return 2
