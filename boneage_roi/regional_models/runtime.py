"""Reading a region of a hand frame with its exported CNN."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boneage_roi.onnx_session import Network
from boneage_roi.regional_models.crops import AS_IT_IS, SIX_VIEWS, Crops, View, cut_crops
from boneage_roi.values import MONTHLY, AgeGrid, FloatArray, HandFrame, RegionBox, RegionReading, Sex


class RegionReader:
    """One region's exported CNN: ``reader(frame, boxes, sex)`` gives its reading, None when the region is absent.

    Args:
        size, margin: how the network was trained to see its crops.
        views: how to look at the hand; distributions and features are averaged over them.
        grid: the ages of the network's distributions.
        threads: how many the network may use; None is one a core.
    """

    def __init__(
        self,
        path: Path,
        region: str,
        *,
        size: tuple[int, int],
        margin: float,
        views: Sequence[View] = SIX_VIEWS,
        grid: AgeGrid = MONTHLY,
        threads: int | None = None,
    ) -> None:
        self._network = Network(path, f"the network of {region}", threads)
        self._grid = grid
        self.region = region
        self._size = size
        self._margin = margin
        self._views = tuple(views)

    def __call__(self, frame: HandFrame, boxes: list[RegionBox], sex: Sex) -> RegionReading | None:
        cuts = (self.crops(frame, boxes, view) for view in self._views)
        views = [crops for crops in cuts if crops is not None]
        return self.read(views, sex) if views else None

    def crops(self, frame: HandFrame, boxes: list[RegionBox], view: View = AS_IT_IS) -> Crops | None:
        """What the network sees of a hand; None when the region was not found."""
        return cut_crops(frame, boxes, self.region, self._size, self._margin, view=view)

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
        shapes = [(len(views), self._grid.bins), (len(views), None)]
        distribution, features = self._network(inputs, shapes, ["distribution", "features"])
        return RegionReading(self.region, distribution.mean(0), features.mean(0), count, first.confidence, self._grid)
