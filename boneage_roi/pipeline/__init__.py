"""Everything that runs a bundle; needs no torch."""

from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.predict import Analysis, Predictor

__all__ = ["Analysis", "Bundle", "Predictor"]
