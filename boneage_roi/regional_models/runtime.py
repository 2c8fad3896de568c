"""Reading a region of a hand frame with its exported CNN."""

from pathlib import Path

import numpy as np

from boneage_roi.onnx_session import open_session
from boneage_roi.regional_models.crops import Crops, View, cut_crops
from boneage_roi.regions import Region
from boneage_roi.values import FloatArray, HandFrame, RegionBox, RegionReading, Sex

VIEWS = tuple(
    View(mirrored, scale, degrees)
    for scale, degrees in ((1.0, 0.0), (0.95, 5.0), (1.05, -5.0))
    for mirrored in (False, True)
)
"""What test-time augmentation looks at, the hand as it is first. A hand and its mirror image get the same views, moved
by one pixel of a crop at the most."""


class RegionReader:
    """One region's exported CNN: ``reader(frame, boxes, sex)`` gives its reading, None when the region is absent.

    Args:
        size, margin: how the network was trained to see its crops.
        tta: test-time augmentation: read all ``VIEWS`` and average distributions and features.
    """

    def __init__(self, path: Path, region: Region, *, size: tuple[int, int], margin: float, tta: bool = True) -> None:
        self._session = open_session(path)
        self.region = region
        self._size = size
        self._margin = margin
        self._views = VIEWS if tta else VIEWS[:1]

    def __call__(self, frame: HandFrame, boxes: list[RegionBox], sex: Sex) -> RegionReading | None:
        views = [
            crops
            for view in self._views
            if (crops := cut_crops(frame, boxes, self.region, self._size, self._margin, view=view)) is not None
        ]
        return self.read(views, sex) if views else None

    def read(self, views: list[Crops], sex: Sex) -> RegionReading:
        """Read crops that are cut already: the mean of all views of them."""
        first = views[0]
        count = len(first.pixels)
        pixels = np.stack([crops.pixels for crops in views])[:, :, None]
        inputs: dict[str, FloatArray] = {
            "crops": pixels.astype(np.float32) / np.float32(255),
            "present": np.ones((len(views), count), np.float32),
            "places": np.stack([crops.places for crops in views]),
            "sex": np.full(len(views), sex == "M", np.float32),
        }
        distribution, features = self._session.run(None, inputs)
        return RegionReading(self.region, distribution.mean(0), features.mean(0), count, first.confidence)
