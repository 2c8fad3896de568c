"""Split-conformal prediction intervals whose width follows how sure the readings are."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.fusion.features import HandReadings, disagreement, moments
from boneage_roi.values import FloatArray


@dataclass(frozen=True)
class Intervals:
    """Half width = ``quantile`` x (``base`` + ``by_spread`` x spread + ``by_disagreement`` x disagreement), months.

    The three weights predict the absolute error; the quantile of errors over predictions on calibration hands makes
    the coverage hold (split conformal prediction with normalised scores, Lei et al. 2018).
    """

    coverage: float
    quantile: float
    base: float
    by_spread: float
    by_disagreement: float

    def half_width(self, hands: HandReadings, fused: FloatArray) -> FloatArray:
        """Half widths in months (N,) of hands with the fused distributions (N, 240)."""
        return np.asarray(self.quantile * self.scale(hands, fused), np.float32)

    def scale(self, hands: HandReadings, fused: FloatArray) -> FloatArray:
        """Predicted absolute error before calibration, months (N,)."""
        _, spread = moments(fused)
        return np.asarray(self.base + self.by_spread * spread + self.by_disagreement * disagreement(hands), np.float32)

    def to_json(self) -> str:
        """The content of ``intervals.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Intervals":
        """Read ``intervals.json``.

        Raises:
            InputError: the file is missing or holds something else.
        """
        try:
            return cls(**{name: float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()})
        except (OSError, ValueError, TypeError, AttributeError):
            raise InputError(f"{path}: not an intervals file; the bundle is damaged") from None
