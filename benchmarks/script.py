"""How every script here ends."""

import sys
from collections.abc import Callable

from boneage_roi.errors import InputError


def run_script(main: Callable[[], object]) -> None:
    """Run a script; a mistake of its user and Ctrl-C end it with one line on stderr."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
