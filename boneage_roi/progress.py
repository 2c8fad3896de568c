"""Telling a caller how far some work is: library code calls back and prints nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Called with what is being done ("reading hands"), how many are done, and how many there are."""


def tracked(values: Iterable[T], label: str, total: int, progress: Progress | None) -> Iterator[T]:
    """Pass values on, and call ``progress`` before the first and after each.

    Example:
        >>> list(tracked("ab", "letters", 2, lambda label, done, total: print(label, done, "of", total)))
        letters 0 of 2
        letters 1 of 2
        letters 2 of 2
        ['a', 'b']
    """
    if progress is None:
        yield from values
        return
    progress(label, 0, total)
    for done, value in enumerate(values, 1):
        yield value
        progress(label, done, total)
