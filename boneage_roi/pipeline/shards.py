"""Shares of a long list of inputs: each of several machines takes its own, and together they take all."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from boneage_roi.errors import InputError
from boneage_roi.pipeline.item import Item


@dataclass(frozen=True)
class Share:
    """What one machine takes of a list of inputs.

    Attributes:
        index, count: share 0, 1, ... of so many.
        items: what it takes, in the list's order.
        positions: where each of them stands in the whole list.
        listed: length of the whole list.
        listing: hash of the whole list's paths; shares of one list have the same.
    """

    index: int
    count: int
    items: list[Item] = field(repr=False)
    positions: list[int] = field(repr=False)
    listed: int
    listing: str


def parse_shard(text: str | None) -> tuple[int, int]:
    """``1/3`` as (1, 3); None is all, which is share 0 of 1.

    Raises:
        InputError: it is no share.

    >>> parse_shard("1/3")
    (1, 3)
    """
    if text is None:
        return 0, 1
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    if not match or int(match[1]) >= int(match[2]):
        raise InputError(f"shard {text!r} is none; the first of three is 0/3, the last 2/3")
    return int(match[1]), int(match[2])


def take_share(items: Iterable[Item], index: int, count: int) -> Share:
    """The share of a list that a stable hash of each path gives: it is the same on every machine and every day.

    Args:
        items: the whole list; no more of it is kept than the share.
        index, count: from :func:`parse_shard`.

    >>> shares = [take_share([Item("a.png"), Item("b.png"), Item("c.png")], index, 2) for index in (0, 1)]
    >>> sorted(position for share in shares for position in share.positions)
    [0, 1, 2]
    """
    listing = hashlib.sha256()
    kept: list[Item] = []
    positions: list[int] = []
    listed = 0
    for position, item in enumerate(items):
        name = item.path.encode("utf-8", "surrogateescape")
        listing.update(name + b"\0")
        listed += 1
        if count == 1 or int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) % count == index:
            kept.append(item)
            positions.append(position)
    return Share(index, count, kept, positions, listed, listing.hexdigest())
