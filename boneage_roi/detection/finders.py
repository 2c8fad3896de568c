"""Region finders: how the regions of a hand frame come about."""

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol, cast

from boneage_roi.configs.finders import check_finder, find_finder
from boneage_roi.errors import InputError
from boneage_roi.onnx_session import ON_CPU, Execution
from boneage_roi.values import HandFrame, RegionBox


class Finder(Protocol):
    """``finder(frame)`` gives the boxes of the regions that it looks for."""

    @property
    def regions(self) -> tuple[str, ...]:
        """What it looks for."""
        ...

    def __call__(self, frame: HandFrame) -> list[RegionBox]: ...


class WholeHand:
    """Finds nothing: only the whole frame is read."""

    def __init__(self, network: Path | None, regions: Sequence[str], execution: Execution) -> None:
        self.regions: tuple[str, ...] = ()

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        return []


def open_finder(kind: str, network: Path | None, regions: Sequence[str], execution: Execution = ON_CPU) -> Finder:
    """The region finder of a name.

    Raises:
        InputError: there is none (the message lists the known ones), it finds no such region, or it learns and has no
            network.
    """
    check_finder(kind, regions)
    found = find_finder(kind)
    if found.trains and network is None:
        raise InputError(f"the finder `{kind}` needs a network; export the bundle again")
    return cast(Finder, resolve_name(found.opens)(network, regions, execution))
