"""DICOM studies of a made-up child, and what a reader would find in them."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from boneage_roi.values import Analysis, BoneAge, HandFrame, HandMask, RegionBox, RegionReading
from tests.imaging.makers import dicom, header, ramp

CHILD: dict[str, Any] = {
    "PatientName": "Test^Child",
    "PatientID": "C1",
    "PatientBirthDate": "20100101",
    "PatientSex": "M",
    "StudyDate": "20200101",
    "StudyTime": "101112",
    "StudyID": "S1",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "",
    "Modality": "CR",
    "Manufacturer": "none",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
    "Laterality": "L",
    "BodyPartExamined": "HAND",
    "ViewPosition": "PA",
    "PatientOrientation": ["", ""],
    "PatientSize": "1.40",
}


def study(path: Path, **attributes: Any) -> Dataset:
    """Write a radiograph of the child."""
    uids = {keyword: generate_uid() for keyword in ("StudyInstanceUID", "SeriesInstanceUID")}
    dataset = header(ramp(4096), **(CHILD | uids | attributes))
    path.write_bytes(dicom(dataset))
    return dataset


def outcome(path: Path, months: float = 150.0, flags: tuple[str, ...] = ("inverted",)) -> Outcome:
    """What a reader would make of a radiograph: a carpal and two epiphysis boxes."""
    radiograph = read_radiograph(path)
    shape = radiograph.pixels.shape
    mask = HandMask(np.ones(shape, bool), (shape[1] / 2, 80), (shape[1] / 2, 40), 0.9)
    frame = HandFrame(np.zeros((100, 80), np.uint8), np.array([[1.0, 0, 0], [0, 1, 0]]))
    boxes = (
        RegionBox("carpal", (10, 20, 30, 40), 0.9),
        RegionBox("epiphysis", (40, 20, 50, 30), 0.8),
        RegionBox("epiphysis", (40, 50, 50, 60), 0.7),
    )
    readings = tuple(
        RegionReading(region, np.eye(240, dtype=np.float32)[place], np.zeros(4, np.float32), crops)
        for region, place, crops in (("hand", 148, 1), ("carpal", 145, 1), ("epiphysis", 152, 2))
    )
    age = BoneAge(
        months, months - 10, months + 10, radiograph.sex, readings, "toy", flags, radiograph.chronological_age
    )
    return Outcome(Item(str(path)), Analysis(radiograph, mask, frame, boxes), age)
