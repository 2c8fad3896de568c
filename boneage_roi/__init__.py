"""Bone age from a hand radiograph, region by region.

>>> import boneage_roi as br
>>> reader = br.load()
>>> age = reader.predict("examples/girl-10y.png", sex="F")
>>> sorted(age.regions) == sorted(reader.regions)
True

Every name is imported when it is first used, so that importing the package costs nothing.
"""

__version__ = "0.2.0"

TYPE_CHECKING = False  # known to type checkers by its name: `typing` takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from boneage_roi.errors import InputError, RejectedError
    from boneage_roi.explain import explain
    from boneage_roi.growth.finding import Finding
    from boneage_roi.imaging.reading import read_radiograph
    from boneage_roi.outputs.report import report
    from boneage_roi.outputs.table import predict_table
    from boneage_roi.pipeline.bundle import Bundle
    from boneage_roi.pipeline.reader import BoneAgeReader, load
    from boneage_roi.regions import REGIONS, Region
    from boneage_roi.reports.compare import Comparison, compare
    from boneage_roi.reports.drift import drift
    from boneage_roi.reports.evaluate import evaluate
    from boneage_roi.training.train import train
    from boneage_roi.values import Analysis, BoneAge, Radiograph, RegionReading

_HOMES = {
    "Analysis": "values",
    "BoneAge": "values",
    "BoneAgeReader": "pipeline.reader",
    "Bundle": "pipeline.bundle",
    "Finding": "growth.finding",
    "InputError": "errors",
    "REGIONS": "regions",
    "Radiograph": "values",
    "Region": "regions",
    "RegionReading": "values",
    "RejectedError": "errors",
    "drift": "reports.drift",
    "Comparison": "reports.compare",
    "compare": "reports.compare",
    "evaluate": "reports.evaluate",
    "explain": "explain",
    "load": "pipeline.reader",
    "predict_table": "outputs.table",
    "read_radiograph": "imaging.reading",
    "report": "outputs.report",
    "train": "training.train",
}
"""Where each public name lives."""

__all__ = [
    "REGIONS",
    "Analysis",
    "BoneAge",
    "BoneAgeReader",
    "Bundle",
    "Comparison",
    "Finding",
    "InputError",
    "Radiograph",
    "Region",
    "RegionReading",
    "RejectedError",
    "compare",
    "drift",
    "evaluate",
    "explain",
    "load",
    "predict_table",
    "read_radiograph",
    "report",
    "train",
]


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module 'boneage_roi' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"boneage_roi.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
