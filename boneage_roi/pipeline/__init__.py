"""Everything that runs a bundle; needs no torch."""

from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.predict import Predictor

__all__ = ["Bundle", "Predictor"]
