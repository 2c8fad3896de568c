"""The radiograph's DICOM header, from which a report takes patient and study."""

import json
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid5

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from boneage_roi.errors import InputError
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.storage import read_place

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows", "Columns")
"""Without these nothing can refer to an image."""

NAMESPACE = UUID("1e5c5bb9-9d0b-4b9c-8f0e-6b1d53a0a7c4")

EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""Type 2: they must be there, and may be empty."""


def source_of(outcome: Outcome, file: BinaryIO | None = None) -> Dataset | None:
    """The header of an outcome's radiograph, wherever that lies: a file, an object of a store, a member of an archive.

    Args:
        file: the radiograph's file, where the outcome's input does not say where it is.

    Returns:
        As :func:`read_source`; None also when it cannot be read any more.
    """
    if file is None and outcome.item.place is not None:
        try:
            file = read_place(outcome.item.place)
        except InputError:
            return None
    return read_source(outcome.item.path if file is None else file)


def read_source(path: str | Path | BinaryIO) -> Dataset | None:
    """The header of a radiograph, without pixels; None when the file is no DICOM file that can be referred to."""
    try:
        header = dcmread(path, stop_before_pixels=True, force=True)
        if any(not header.get(keyword) for keyword in NEEDED):
            return None
    except (InvalidDicomError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    for keyword in EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    if "Modality" not in header:
        header.Modality = "CR" if header.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1" else "DX"
    return header


def stable_uid(*parts: str) -> UID:
    """A UID that the same parts always give: sending a result twice makes no second copy."""
    return UID(f"2.25.{uuid5(NAMESPACE, json.dumps(parts)).int}")
