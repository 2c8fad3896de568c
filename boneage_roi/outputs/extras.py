"""Packages that only one output needs."""

from importlib.util import find_spec

from boneage_roi.errors import InputError


def require(extra: str, what: str, *modules: str) -> None:
    """Make sure that an output's packages are there, before any work is done.

    Args:
        extra: name of the extra that brings them.
        what: the output, for the message.
        modules: their import names.

    Raises:
        InputError: one is missing; the message says what to install.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise InputError(f'{what} needs {missing[0]}; install it with: pip install "boneage-roi[{extra}]"')
