"""How every script here ends."""

import sys
from collections.abc import Callable

import typer

from boneage_roi.errors import InputError


def run_script(main: Callable[[], object]) -> None:
    """Run a script; a mistake of its user and Ctrl-C end it with one line on stderr."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def run_typed(main: Callable[..., object]) -> None:
    """Run a script whose arguments are those of ``main``."""
    app = typer.Typer(add_completion=False)
    app.command()(main)

    def parsed() -> None:
        try:
            code = app(standalone_mode=False)
        except typer.TyperException as error:
            print(f"error: {error.format_message()}", file=sys.stderr)
            sys.exit(2)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt

    run_script(parsed)
