"""What every region network is: crops of a hand in, an age distribution and a feature vector out."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of N hands while it is trained.

    Attributes:
        logits: of the ages of the grid, (N, bins).
        sex: log-odds of male (N,), where the network tells the sex too.
        others: further logits (N, bins), each with the loss that is taken of it beside that of the settings; an empty
            name is the settings' own loss.
    """

    logits: Tensor
    sex: Tensor | None = None
    others: Sequence[tuple[str, Tensor]] = ()


class RegionNetwork(nn.Module):
    """The base of all families. A family needs ``outputs`` and ``forward``; the others have a default.

    Inputs are crops float32 (N, C, 1, h, w) in 0..1, present float32 (N, C) with 1 for crops that are there, places
    float32 (N, C, 4) (see ``Crops``), sex float32 (N,) with 1 for male. ``forward`` is what is exported: it gives the
    distribution (N, bins), which sums to one, and the features (N, ``features_length``).

    Attributes:
        map_name: where it is not empty, ``forward`` also gives a map (N, C, h, w) of the crops, ``class_activation`` or
            ``age_map``, which :mod:`boneage_roi.explain` shows.
        started_from: ``imagenet``, ``none`` or the file of weights that its training starts from.
    """

    features_length: int = 64
    map_name: str = ""
    started_from: str = "none"

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        """What the loss is taken of."""
        raise NotImplementedError

    def each_alone(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Outputs, Tensor] | None:
        """What it says of each crop alone, and the hand (rows of N) that each is of; None where it cannot."""
        return None

    def stages(self) -> list[nn.Module]:
        """Its parts in the order in which an image goes through them; a round may freeze the first few."""
        return []

    def ready_for_export(self) -> "RegionNetwork":
        """The network without what only its training needs."""
        return self
