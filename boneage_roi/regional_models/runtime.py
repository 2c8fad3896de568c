"""Reading a region of a hand frame with its exported CNN."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.onnx_check import tensor_names
from boneage_roi.onnx_session import ON_CPU, Execution, Network
from boneage_roi.regional_models.crops import AS_IT_IS, MIRRORED, SIX_VIEWS, Crops, View, crop_boxes, cut_crops
from boneage_roi.values import MONTHLY, AgeGrid, FloatArray, HandFrame, RegionBox, RegionReading, Sex

GIVEN_OUT = ("distribution", "features", "class_activation", "age_map")
"""The outputs of a region's network; all but the first two only some families have."""


class RegionReader:
    """One region's exported CNN: ``reader(frame, boxes, sex)`` gives its reading, None when the region is absent.

    Args:
        size, margin: how the network was trained to see its crops.
        views: how to look at the hand; distributions and features are averaged over them.
        grid: the ages of the network's distributions.
        execution: where the network runs.
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
        execution: Execution = ON_CPU,
    ) -> None:
        self._network = Network(path, f"the network of {region}", execution)
        self._grid = grid
        self._path = path
        self._execution = execution
        self.region = region
        self.size = size
        self.margin = margin
        self._views = tuple(views)

    @property
    def provider(self) -> str:
        """What the network runs on, a name in :data:`boneage_roi.onnx_session.PROVIDERS`."""
        return self._network.provider

    def __call__(self, frame: HandFrame, boxes: list[RegionBox], sex: Sex) -> RegionReading | None:
        cuts = (self.crops(frame, boxes, view) for view in self._views)
        views = [crops for crops in cuts if crops is not None]
        return self.read(views, sex) if views else None

    def crops(
        self, frame: HandFrame, boxes: list[RegionBox], view: View = AS_IT_IS, turns: Sequence[float] | None = None
    ) -> Crops | None:
        """What the network sees of a hand; None when the region was not found."""
        return cut_crops(frame, boxes, self.region, self.size, self.margin, view=view, turns=turns)

    def read(self, views: list[Crops], sex: Sex) -> RegionReading:
        """Read crops that are cut already: the mean of all views of them."""
        distribution, features = self.run(views, sex)
        first = views[0]
        return self.reading(distribution.mean(0), features.mean(0), len(first.pixels), first.confidence)

    def each(
        self,
        frame: HandFrame,
        boxes: list[RegionBox],
        sex: Sex,
        turns: Sequence[float] | None = None,
        whole: RegionReading | None = None,
    ) -> list[RegionReading]:
        """What every crop says when it is all that the network sees, in the order of :func:`crop_boxes`.

        All crops go through the network in one call, as they are and, where a view of the hand is mirrored, mirrored.

        Args:
            turns: degrees anticlockwise by which each crop is turned before.
            whole: what the region says, where that is known: of a single crop it may be the same.
        """
        looks = (AS_IT_IS, MIRRORED) if any(view.mirrored for view in self._views) else (AS_IT_IS,)
        if whole is not None and whole.crops == 1 and not any(turns or ()) and self._views == looks:
            return [whole]
        cuts = (self.crops(frame, boxes, view, turns) for view in looks)
        views = [crops for crops in cuts if crops is not None]
        if not views:
            return []
        alone = [
            Crops(crops.pixels[[row]], crops.places[[row]], crops.confidence)
            for crops in views
            for row in range(len(crops.pixels))
        ]
        shape = (len(views), len(views[0].pixels))
        distributions, features = (array.reshape(*shape, -1).mean(0) for array in self.run(alone, sex))
        found = crop_boxes(frame, boxes, self.region)
        return [
            self.reading(distribution, vector, 1, box.confidence)
            for distribution, vector, box in zip(distributions, features, found, strict=True)
        ]

    def run(self, hands: Sequence[Crops], sex: Sex) -> tuple[FloatArray, FloatArray]:
        """Distributions (N, bins) and features (N, D) of N hands or views with the same number of crops, in one call.

        Raises:
            InputError: the network gives what no network of this bundle may give.
        """
        shapes = [(len(hands), self._grid.bins), (len(hands), None)]
        distribution, features = self._network(self.inputs(hands, sex), shapes, ["distribution", "features"])
        return distribution, features

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The tensors inside the network, by name."""
        return tensor_names(self._path.read_bytes())

    def inside(self, hands: Sequence[Crops], sex: Sex, names: Sequence[str]) -> list[FloatArray]:
        """Tensors inside the network when it reads N hands or views with the same number of crops.

        Args:
            names: some of ``tensors``.

        Raises:
            InputError: the network holds no such tensor.
        """
        missing = [name for name in names if name not in self.tensors]
        if missing:
            raise InputError(f"the network of {self.region} holds no {missing[0]}")
        hidden = [name for name in names if name not in GIVEN_OUT]
        network = Network(self._path, f"the network of {self.region}", self._execution, also=hidden)
        return network(self.inputs(hands, sex), [], names)

    def inputs(self, hands: Sequence[Crops], sex: Sex) -> dict[str, FloatArray]:
        """What the network is fed of N hands or views with the same number of crops, by input name."""
        pixels = np.stack([crops.pixels for crops in hands])[:, :, None]
        return {
            "crops": pixels.astype(np.float32) / np.float32(255),
            "present": np.ones(pixels.shape[:2], np.float32),
            "places": np.stack([crops.places for crops in hands]),
            "sex": np.full(len(hands), sex == "M", np.float32),
        }

    def reading(self, distribution: FloatArray, features: FloatArray, crops: int, confidence: float) -> RegionReading:
        """A reading of this region from what the network gives."""
        return RegionReading(self.region, distribution, features, crops, confidence, self._grid)

    def expected(self, logits: FloatArray) -> FloatArray:
        """Expected ages (N,) in months of logits (N, bins)."""
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(raised @ self._grid.months / raised.sum(axis=-1), np.float32)
