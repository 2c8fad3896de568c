"""The command itself: its version, its subcommands, and how each run of it ends."""

import io
import os
import sys
from typing import Annotated

import typer

from boneage_roi import __version__

from boneage_roi.cli import (  # noqa: F401  # isort: skip  their import registers the commands, in the help's order
    prediction,
    evaluating,
    archive,
    watching,
    comparing,
    explaining,
    service,
    dicomweb,
    training,
)
from boneage_roi.cli.common import Interrupted, app, examples, fail, warn
from boneage_roi.errors import InputError


@app.callback(
    invoke_without_command=True,
    epilog=examples("predict examples/", "predict hand.png --sex F", "evaluate manifest.csv --split test"),
)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Bone age from a hand radiograph, region by region. For research, not a medical device."""
    if version:
        print(f"boneage-roi {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def run() -> int:
    """Run the command with the process's arguments.

    Returns:
        The exit code: 2 for a mistake of the user, 130 after Ctrl-C, 0 when the reader of our output has left.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal has no sign for
    try:
        code = int(app(standalone_mode=False) or 0)
        sys.stdout.flush()
        if code == 130:
            warn("interrupted")
        return code
    except InputError as error:
        return fail(str(error))
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "boneage-roi")
        return fail(f"{error.format_message()} See `{command} --help`.")
    except Interrupted as error:
        warn(error)
        return 130
    except BrokenPipeError:
        return _reader_has_left()
    except SystemExit as error:  # Rich and Click make one of a broken pipe
        if isinstance(error.__context__, BrokenPipeError):
            return _reader_has_left()
        raise
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _reader_has_left() -> int:
    """Keep the interpreter from complaining when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    return 0
