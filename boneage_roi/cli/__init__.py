"""The ``boneage-roi`` command: parses, calls, prints.

Heavy modules are imported inside the commands, so that ``--help`` and ``--version`` answer at once; this one imports
nothing that Python has not imported itself, so that Ctrl-C and closed streams are dealt with from the first moment.
"""

import os
import sys

TYPE_CHECKING = False  # `typing` takes longer than all else here
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Entry point: every mistake of the user is one line on stderr and exit code 2."""
    try:
        _open_streams()
        from boneage_roi.cli.root import run

        code = run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def _open_streams() -> None:
    """Make streams that the caller closed lead nowhere: else the next file that is opened would take their number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
            if stream.fileno() != number:
                os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)
