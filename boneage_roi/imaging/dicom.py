"""Read a radiograph from a DICOM file: what its header says of the hand, and the pixels.

No message quotes what the header says of the patient.
"""

import contextlib
import re
import zlib
from datetime import date
from io import BytesIO
from typing import Any, cast

from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from boneage_roi.ages import checked_height, chronological_age, parse_age, parse_date
from boneage_roi.errors import InputError
from boneage_roi.imaging.dicom_pixels import displayed_pixels
from boneage_roi.imaging.files import LARGEST_FILE
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.size import check_size, with_aspect
from boneage_roi.values import FloatImage, Laterality, Radiograph, Sex


def read_dicom(data: bytes) -> Radiograph:
    """Read a DICOM file, with or without preamble.

    Pixels are as a viewer shows them: modality LUT, VOI LUT or window, MONOCHROME1 turned, colour made grey, and
    square: where rows and columns lie differently far apart, one side is made longer.

    Returns:
        The radiograph with sex, age, dates, height, patient, laterality and pixel spacing where the header tells them.

    Raises:
        InputError: damaged, no image, several frames, pixels that cannot be decoded, or an image too small, too large
            or blank.
    """
    header = _parse(data)
    _check(header)
    pixels, spacing = _square(displayed_pixels(header), header)
    return Radiograph(
        stretch(pixels),
        sex=_sex(header),
        chronological_age=header_age(header),
        laterality=_laterality(header),
        pixel_spacing=spacing,
        birth_date=_date(header, "PatientBirthDate"),
        study_date=_study_date(header),
        height_cm=_height(header),
        patient=str(_value(header, "PatientID") or "").strip() or None,
        aspect_known=spacing is not None,
    )


def _parse(data: bytes) -> Dataset:
    with contextlib.suppress(Exception):  # forced on damaged bytes, pydicom raises anything
        if not _inflates_too_far(data):
            return dcmread(BytesIO(data), force=True)
    return Dataset()


def _inflates_too_far(data: bytes) -> bool:
    """Whether a deflated data set is larger than a file may be: pydicom would inflate all of it."""
    file = BytesIO(data)
    file.seek(132 if data[128:132] == b"DICM" else 0)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return False
    return len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), LARGEST_FILE)) == LARGEST_FILE


def _check(header: Dataset) -> None:
    """Refuse what is no single image of a fitting size, before pixels are decoded."""
    if "DirectoryRecordSequence" in header:
        raise InputError("is a DICOMDIR; give the image files that it lists")
    columns, rows = _value(header, "Columns"), _value(header, "Rows")
    if "PixelData" not in header or not isinstance(columns, int) or not isinstance(rows, int):
        kind = UID(str(_value(header, "SOPClassUID")))
        named = f" ({kind.name.removesuffix(' Storage')})" if kind.type == "SOP Class" else ""
        raise InputError(f"the DICOM file{named} is damaged or holds no image; give a radiograph, or export it again")
    check_size(columns, rows)
    frames = _value(header, "NumberOfFrames")
    if isinstance(frames, int) and frames > 1:
        raise InputError(f"the DICOM file holds {int(frames)} frames; give one file a radiograph")


def _square(pixels: FloatImage, header: Dataset) -> tuple[FloatImage, tuple[float, float] | None]:
    """The pixels made square, and their (row, column) millimetres: at the patient where known, else at the detector."""
    spacing = _pair(header, "PixelSpacing") or _pair(header, "ImagerPixelSpacing")
    row, column = spacing or _pair(header, "PixelAspectRatio") or (1.0, 1.0)
    height, width = pixels.shape
    square = with_aspect(pixels, width * column / (height * row))
    if square is not pixels and spacing:
        spacing = (min(spacing), min(spacing))
    return square, spacing


def _value(header: Dataset, keyword: str) -> Any:
    """What the header says, or None: also where pydicom cannot make a value of the bytes, in whichever way."""
    with contextlib.suppress(Exception):
        return header.get(keyword)
    return None


def _pair(header: Dataset, keyword: str) -> tuple[float, float] | None:
    """Two lengths, when they can be some."""
    with contextlib.suppress(TypeError, ValueError):
        row, column = (float(value) for value in _value(header, keyword))
        if 1e-4 < row < 1e4 and 1e-4 < column < 1e4:
            return row, column
    return None


def _sex(header: Dataset) -> Sex | None:
    """PatientSex, when it is M or F."""
    value = str(_value(header, "PatientSex") or "").strip().upper()
    return cast(Sex, value) if value in ("M", "F") else None


def _laterality(header: Dataset) -> Laterality | None:
    """The side of the hand, "L" or "R"."""
    value = str(_value(header, "ImageLaterality") or _value(header, "Laterality") or "").strip().upper()
    return cast(Laterality, value) if value in ("L", "R") else None


def header_age(header: Dataset) -> float | None:
    """Months of age at the study: PatientAge, made finer by the dates where the two agree.

    De-identified files often keep the age and carry a made-up birth date.
    """
    stated = dated = None
    text = str(_value(header, "PatientAge") or "").strip()
    if re.fullmatch(r"\d{1,3}[YMWD]", text, re.ASCII | re.IGNORECASE):  # a bare number may be years
        stated = parse_age(text)
    born, seen = _date(header, "PatientBirthDate"), _study_date(header)
    if born and seen:
        with contextlib.suppress(InputError):
            dated = chronological_age(born, seen)
    return dated if dated is not None and (stated is None or abs(dated - stated) <= 12) else stated


def _height(header: Dataset) -> float | None:
    """Centimetres of PatientSize, which is metres."""
    with contextlib.suppress(TypeError, ValueError):  # InputError is a ValueError: another unit, or no height
        return round(checked_height(100 * float(_value(header, "PatientSize"))), 2)
    return None


def _study_date(header: Dataset) -> date | None:
    return _date(header, "StudyDate") or _date(header, "AcquisitionDate")


def _date(header: Dataset, keyword: str) -> date | None:
    with contextlib.suppress(InputError):
        return parse_date(str(_value(header, keyword) or "")[:8])
    return None
