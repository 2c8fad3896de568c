"""The ``boneage-roi`` command: parses, calls, prints.

Heavy modules are imported inside the commands, so that ``--help`` and ``--version`` answer at once.
"""

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from boneage_roi import __version__
from boneage_roi.cli import prediction, training  # noqa: F401  their import registers the commands
from boneage_roi.cli.common import Interrupted, app, examples, fail
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


def main() -> NoReturn:
    """Entry point: every mistake of the user is one line on stderr and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are no text
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        if code == 130:
            print("interrupted", file=sys.stderr)
    except InputError as error:
        code = fail(str(error))
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "boneage-roi")
        code = fail(f"{error.format_message()} See `{command} --help`.")
    except Interrupted as error:
        print(error, file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has left; keep the interpreter from saying so when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        code = fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    sys.exit(code)
