"""Reading a region of a hand frame with its exported CNN."""

from pathlib import Path

import numpy as np

from boneage_roi.onnx_session import open_session
from boneage_roi.regional_models.crops import Crops, cut_crops
from boneage_roi.regions import Region
from boneage_roi.values import FloatArray, HandFrame, RegionBox, RegionReading, Sex


class RegionReader:
    """One region's exported CNN: ``reader(frame, boxes, sex)`` gives its reading, None when the region is absent.

    Args:
        size, margin: how the network was trained to see its crops.
        tta: test-time augmentation: read the mirrored crops as well and average distributions and features.
    """

    def __init__(self, path: Path, region: Region, *, size: tuple[int, int], margin: float, tta: bool = True) -> None:
        self._session = open_session(path)
        self.region = region
        self._size = size
        self._margin = margin
        self._tta = tta

    def __call__(self, frame: HandFrame, boxes: list[RegionBox], sex: Sex) -> RegionReading | None:
        crops = cut_crops(frame, boxes, self.region, self._size, self._margin)
        return None if crops is None else self.read(crops, sex)

    def read(self, crops: Crops, sex: Sex) -> RegionReading:
        """Read crops that are cut already."""
        count = len(crops.pixels)
        pixels, places = crops.pixels[None, :, None], crops.places[None]
        if self._tta:
            pixels = np.concatenate([pixels, pixels[..., ::-1]])
            places = np.concatenate([places, places])
            places[1, :, 0] = 1 - places[1, :, 0]
        views = len(pixels)
        inputs: dict[str, FloatArray] = {
            "crops": (pixels / np.float32(255)).astype(np.float32),
            "present": np.ones((views, count), np.float32),
            "places": places,
            "sex": np.full(views, sex == "M", np.float32),
        }
        distribution, features = self._session.run(None, inputs)
        return RegionReading(self.region, distribution.mean(0), features.mean(0), count, crops.confidence)
