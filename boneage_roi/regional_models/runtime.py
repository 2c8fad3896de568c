"""Reading a region of a hand frame with its exported CNN."""

from pathlib import Path

import numpy as np

from boneage_roi.onnx_session import open_session
from boneage_roi.regional_models.crops import Crops, cut_crops
from boneage_roi.regions import Region
from boneage_roi.values import FloatArray, HandFrame, RegionBox, RegionReading, Sex


class RegionReader:
    """One region's exported CNN: ``reader(frame, boxes, sex)`` gives its reading, None when the region is absent."""

    def __init__(self, path: Path, region: Region, *, size: tuple[int, int], margin: float) -> None:
        self._session = open_session(path)
        self.region = region
        self._size = size
        self._margin = margin

    def __call__(self, frame: HandFrame, boxes: list[RegionBox], sex: Sex) -> RegionReading | None:
        crops = cut_crops(frame, boxes, self.region, self._size, self._margin)
        return None if crops is None else self.read(crops, sex)

    def read(self, crops: Crops, sex: Sex) -> RegionReading:
        """Read crops that are cut already."""
        count = len(crops.pixels)
        inputs: dict[str, FloatArray] = {
            "crops": (crops.pixels[None, :, None] / np.float32(255)).astype(np.float32),
            "present": np.ones((1, count), np.float32),
            "places": crops.places[None],
            "sex": np.array([sex == "M"], np.float32),
        }
        distribution, features = self._session.run(None, inputs)
        return RegionReading(self.region, distribution[0], features[0], count, crops.confidence)
