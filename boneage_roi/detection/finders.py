"""Region finders: how the regions of a hand frame come about."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from boneage_roi.detection.runtime import Detector
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

    regions: tuple[str, ...] = ()

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        return []


def _detector(network: Path | None, regions: Sequence[str], execution: Execution) -> Finder:
    if network is None:
        raise InputError("the finder `detector` needs a network; export the bundle again")
    return Detector(network, regions, execution)


FINDERS: dict[str, Callable[[Path | None, Sequence[str], Execution], Finder]] = {
    "detector": _detector,
    "whole-hand": lambda network, regions, execution: WholeHand(),
}
"""From a finder's name to what opens it: its network, the regions that it looks for, where the network runs."""


def open_finder(kind: str, network: Path | None, regions: Sequence[str], execution: Execution = ON_CPU) -> Finder:
    """The region finder of a name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if kind not in FINDERS:
        raise InputError(f"unknown region finder {kind!r}; known are {', '.join(FINDERS)}")
    return FINDERS[kind](network, regions, execution)
