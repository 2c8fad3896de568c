"""What every method of explaining gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boneage_roi.values import Analysis, BoneAge, FloatImage


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a bone age is what it is, by one method.

    Attributes:
        method: a name in :data:`boneage_roi.explain.METHODS`.
        analysis: of the radiograph.
        bone_age: what is explained.
        maps: float32 (H, W) of the hand frame by name; NaN where a map says nothing.
        unit: of the maps.
        signed: whether zero is the middle of the maps' scale, or its lower end.
        table: what has no place in the hand, by region: numbers, None where there is none.
    """

    method: str
    analysis: Analysis
    bone_age: BoneAge
    maps: Mapping[str, FloatImage] = field(default_factory=dict)
    unit: str = ""
    signed: bool = False
    table: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the maps themselves."""
        return {
            "method": self.method,
            "bone_age": self.bone_age.to_dict(),
            "maps": list(self.maps),
            "unit": self.unit,
            "table": {
                name: {key: None if value is None else round(value, 3) for key, value in row.items()}
                for name, row in self.table.items()
            },
        }

    def __repr__(self) -> str:
        what = f"{len(self.maps)} maps" if self.maps else f"{len(self.table)} regions"
        return f"<Explanation {self.method}: {what} of {self.bone_age!r}>"
