"""Regions at fixed places of the frame: what registration by key points makes possible (Iglovikov et al., DLMIA
2018)."""

from collections.abc import Sequence
from pathlib import Path

from boneage_roi.onnx_session import Execution
from boneage_roi.values import HandFrame, RegionBox

PLACES = {
    "radius-ulna": (0.35, 0.623, 0.65, 0.811),
    "carpal": (0.341, 0.531, 0.659, 0.731),
    "metacarpal": (0.205, 0.267, 0.795, 0.655),
}
"""Left, top, right and bottom as shares of the frame, the same for both hands: medians of the detector's boxes in
sixty RSNA hands after the step ``register``."""


class Template:
    """``Template(regions)(frame)`` gives the same boxes in every frame."""

    def __init__(self, regions: Sequence[str]) -> None:
        self.regions = tuple(regions)

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        height, width = frame.pixels.shape
        found = []
        for region in self.regions:
            left, top, right, bottom = PLACES[region]
            found.append(RegionBox(region, (left * width, top * height, right * width, bottom * height), 1.0))
        return found


def open_template(network: Path | None, regions: Sequence[str], execution: Execution) -> Template:
    """The finder ``template``."""
    return Template(regions)
