"""Read a radiograph from a DICOM file: pixels as displayed, and what the header says of the hand."""

import contextlib
import re
import warnings
from datetime import datetime
from io import BytesIO
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from boneage_roi.errors import InputError
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.size import check_size
from boneage_roi.values import FloatImage, Laterality, Radiograph, Sex

DAYS_A_MONTH = 365.25 / 12
MONTHS = {"Y": 12.0, "M": 1.0, "W": 7 / DAYS_A_MONTH, "D": 1 / DAYS_A_MONTH}


def read_dicom(data: bytes) -> Radiograph | None:
    """Read a DICOM file, with or without preamble.

    Pixels are as a viewer shows them: modality LUT, VOI LUT or window, MONOCHROME1 turned, colour made grey.

    Returns:
        The radiograph with sex, age, laterality and pixel spacing where the header tells them; None when ``data`` is
        not a DICOM image.

    Raises:
        InputError: several frames, no pixels, pixels that cannot be decoded, or an image too small, too large or blank.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers are common; what matters is whether pixels come out
        header = _parse(data)
        if header is None:
            return None
        check_size(int(header.Columns), int(header.Rows))
        return Radiograph(
            stretch(_displayed_pixels(header)),
            sex=_sex(header),
            chronological_age=_age(header),
            laterality=_laterality(header),
            pixel_spacing=_spacing(header),
        )


def _parse(data: bytes) -> Dataset | None:
    with contextlib.suppress(Exception):  # forced on foreign bytes, pydicom raises anything
        header = dcmread(BytesIO(data), force=True)
        if header.get("Rows") and header.get("Columns"):
            return header
    return None


def _displayed_pixels(header: Dataset) -> FloatImage:
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise InputError(f"the DICOM file holds {frames} frames; give one file a radiograph")
    if "PixelData" not in header:
        raise InputError("the DICOM file holds no pixels; export it again with its image")
    _name_transfer_syntax(header)
    try:
        return _as_displayed(pixel_array(header), header)
    except Exception as error:  # each decoder raises its own kind
        reason = str(error).strip().partition("\n")[0].rstrip(":") or type(error).__name__
        raise InputError(f"the DICOM pixels cannot be decoded ({reason}); export it again") from error


def _name_transfer_syntax(header: Dataset) -> None:
    """A file without preamble has no meta group: name the encoding that parsing has found."""
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _as_displayed(stored: NDArray[Any], header: Dataset) -> FloatImage:
    photometric = str(header.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, header)
    if stored.ndim == 3:
        colour = stored if stored.dtype in (np.uint8, np.uint16) else stored.astype(np.float32)
        return cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = values = apply_modality_lut(stored, header)
    with contextlib.suppress(ValueError, TypeError, IndexError, AttributeError, NotImplementedError):
        grey = apply_voi_lut(values, header)  # an unusable window (width 0, empty) is as good as none
    grey = grey.astype(np.float32)
    if photometric == "MONOCHROME1":
        grey = grey.max() + grey.min() - grey
    padding = stored == header.get("PixelPaddingValue")
    if np.any(padding) and not np.all(padding):
        grey[padding] = grey[~padding].min()  # far outside the range of real values, it would eat the contrast
    return cast(FloatImage, grey)


def _sex(header: Dataset) -> Sex | None:
    """PatientSex, when it is M or F."""
    value = str(header.get("PatientSex") or "").strip().upper()
    return cast(Sex, value) if value in ("M", "F") else None


def _laterality(header: Dataset) -> Laterality | None:
    """The side of the hand, "L" or "R"."""
    value = str(header.get("ImageLaterality") or header.get("Laterality") or "").strip().upper()
    return cast(Laterality, value) if value in ("L", "R") else None


def _spacing(header: Dataset) -> tuple[float, float] | None:
    """(row, column) millimetres, at the patient where known, else at the detector."""
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    return (float(spacing[0]), float(spacing[1])) if spacing and len(spacing) == 2 else None


def _age(header: Dataset) -> float | None:
    """Months of age at the study: PatientAge, made finer by the dates where the two agree.

    De-identified files often keep the age and carry a made-up birth date.
    """
    match = re.fullmatch(r"(\d{1,3})([YMWD])", str(header.get("PatientAge") or "").strip().upper())
    stated = int(match[1]) * MONTHS[match[2]] if match else None
    born, seen = _date(header, "PatientBirthDate"), _date(header, "StudyDate") or _date(header, "AcquisitionDate")
    dated = (seen - born).days / DAYS_A_MONTH if born and seen and seen >= born else None
    return dated if dated is not None and (stated is None or abs(dated - stated) <= 12) else stated


def _date(header: Dataset, keyword: str) -> datetime | None:
    try:
        return datetime.strptime(str(header.get(keyword) or "")[:8], "%Y%m%d")
    except ValueError:
        return None
