"""Read a radiograph from PNG, JPEG, JPEG 2000, WebP, TIFF, BMP, GIF or DICOM."""

import warnings
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from boneage_roi.ages import checked_age, checked_height
from boneage_roi.ages import chronological_age as age_on
from boneage_roi.errors import InputError
from boneage_roi.imaging.files import LARGEST_FILE, foreign_kind, read_file, unreadable
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.raster import read_raster
from boneage_roi.imaging.size import check_size, with_aspect
from boneage_roi.values import Radiograph, parse_sex

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jp2", ".webp", ".tif", ".tiff", ".bmp", ".gif", *DICOM_SUFFIXES)
DICOM_STARTS = (b"\x02\0", b"\x08\0", b"\0\x08")
"""The groups, little or big endian, that a DICOM file without preamble begins with."""


Source = str | Path | bytes | BinaryIO | NDArray[Any] | Radiograph
"""What a radiograph can be read from."""


def read_radiograph(
    source: Source,
    *,
    sex: str | None = None,
    chronological_age: float | None = None,
    native_size: tuple[int, int] | None = None,
    birth_date: date | None = None,
    study_date: date | None = None,
    height_cm: float | None = None,
    patient: str | None = None,
) -> Radiograph:
    """Read one radiograph, stretched to 0..1 between the 0.1st and the 99.9th percentile.

    MONOCHROME1 is turned here; other dark-on-bright radiographs are turned by the hand frame, which knows where the
    hand is. EXIF orientation is honoured, transparency ignored, and thumbnails beside the image are passed over.

    Args:
        source: a path, the bytes of a file, or an open binary file: PNG, JPEG, JPEG 2000, WebP, TIFF, BMP, GIF (any
            depth, grey or colour) or DICOM, known by content, not by name. Or an array, grey (H, W) or RGB (H, W, 3)
            of whole or real numbers; or a Radiograph, which is checked.
        sex: M, F, male or female; None takes what a DICOM header says.
        chronological_age: months; None takes what the dates say, or a DICOM header.
        native_size: (width, height) before someone squashed the image. When its aspect differs by more than 1 %, the
            image is resized to it, one side growing: 299 x 299 of 1514 x 2044 becomes 299 x 404.
        birth_date: with ``study_date`` gives the chronological age; None takes what a DICOM header says.
        study_date: the day of the radiograph; None takes what a DICOM header says.
        height_cm: standing height; None takes what a DICOM header says.
        patient: what tells one child from another; None takes a DICOM header's PatientID.

    Returns:
        The radiograph; its ``source`` is the path, ``<bytes>``, the file's name or ``<array>``.

    Raises:
        InputError: no such file, a folder, a pipe or a device, empty, over 512 MB, not an image, damaged, blank, of
            several pages or frames, a side under 64 px, or over 50 megapixels; an array of another shape or type; a
            sex, an age or a height that is none.

    >>> read_radiograph("examples/girl-10y.png", sex="f").sex
    'F'
    """
    known = parse_sex(sex)
    if chronological_age is not None:
        checked_age(chronological_age, "chronological age")
    if height_cm is not None:
        checked_height(height_cm)
    name = _name(source)
    try:
        radiograph = _read(source)
        if native_size is not None:
            radiograph = replace(restore_aspect(radiograph, native_size), aspect_known=True)
    except InputError as error:
        raise error if str(error).startswith(name) else InputError(f"{name}: {error}") from error
    born, seen = birth_date or radiograph.birth_date, study_date or radiograph.study_date
    if chronological_age is None and born and seen and (birth_date or study_date):
        try:
            chronological_age = age_on(born, seen)
        except InputError:  # its message tells the birth date, which may be the header's
            raise InputError(f"{name}: the study date {seen} is no date in the life of this child") from None
    return replace(
        radiograph,
        source=name,
        sex=known or radiograph.sex,
        chronological_age=radiograph.chronological_age if chronological_age is None else chronological_age,
        birth_date=born,
        study_date=seen,
        height_cm=radiograph.height_cm if height_cm is None else height_cm,
        patient=patient or radiograph.patient,
    )


def _name(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, Radiograph):
        return source.source
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, np.ndarray):
        return "<array>"
    return "<bytes>" if isinstance(source, bytes | bytearray) else str(getattr(source, "name", "<file>"))


def _read(source: Source) -> Radiograph:
    if isinstance(source, Radiograph):
        return _checked(source)
    if isinstance(source, str | Path):
        return _decode(read_file(Path(source)))
    if isinstance(source, np.ndarray):
        return Radiograph(stretch(grey_array(source)))
    if isinstance(source, bytes | bytearray):
        return _decode(bytes(source))
    if hasattr(source, "read"):
        data = source.read(LARGEST_FILE + 1)
        if isinstance(data, bytes) and len(data) <= LARGEST_FILE:
            return _decode(data)
        raise InputError(f"open the file in binary mode; it may have up to {LARGEST_FILE // 2**20} MB")
    raise InputError(f"{type(source).__name__} is no radiograph; give a path, bytes, a file, an array or a Radiograph")


def grey_array(pixels: NDArray[Any]) -> NDArray[Any]:
    """An array (H, W) or (H, W, 3) as grey (H, W).

    Raises:
        InputError: another shape, no real numbers, or a size that no radiograph has.
    """
    if pixels.dtype.kind not in "uif":
        raise InputError(f"an array of {pixels.dtype} is no image; give whole or real numbers")
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = pixels @ np.array([0.299, 0.587, 0.114])
    if pixels.ndim != 2:
        raise InputError(f"an array of shape {pixels.shape} is no image; give (height, width) or (height, width, 3)")
    check_size(pixels.shape[1], pixels.shape[0], 8 * min(pixels.dtype.itemsize, 8))
    return pixels


def _checked(radiograph: Radiograph) -> Radiograph:
    """A Radiograph that somebody made: its pixels must be what the stages expect."""
    pixels = radiograph.pixels
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.dtype != np.float32:
        raise InputError("the pixels of a Radiograph are float32 (height, width); give other arrays as they are")
    check_size(pixels.shape[1], pixels.shape[0])
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # not finite numbers too
        raise InputError(f"the pixels of a Radiograph go from 0 to 1, these from {low:g} to {high:g}")
    return replace(radiograph, sex=parse_sex(radiograph.sex))


def restore_aspect(radiograph: Radiograph, native_size: tuple[int, int]) -> Radiograph:
    """Undo a squash: give the pixels the aspect of ``native_size`` (width, height) by making one side longer."""
    return _with_aspect(radiograph, native_size[0] / native_size[1])


def undo_squash(radiograph: Radiograph, wide: float) -> Radiograph:
    """Make a radiograph that is ``wide`` times too wide (below 1: too high) right by making one side longer."""
    height, width = radiograph.pixels.shape
    return _with_aspect(radiograph, width / height / wide)


def _with_aspect(radiograph: Radiograph, aspect: float) -> Radiograph:
    pixels = with_aspect(radiograph.pixels, aspect)
    if pixels is radiograph.pixels:
        return radiograph
    return replace(radiograph, pixels=pixels, pixel_spacing=None)  # the header's spacing was the native image's


def list_images(folder: str | Path) -> list[Path]:
    """The radiographs in a folder (not in its subfolders), sorted by name.

    They are known by suffix; a file without one, or with the numeric end of a DICOM UID, by DICOM's mark in it.

    Raises:
        InputError: no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of radiographs")
    try:
        images = sorted(path for path in folder.iterdir() if _looks_like_image(path))
    except OSError as error:
        raise unreadable(folder, error) from error
    if not images:
        raise InputError(f"{folder}: no images in this folder; expected {', '.join(SUFFIXES)}")
    return images


def _looks_like_image(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "DICOMDIR" or path.is_dir():
        return False
    if path.suffix and not path.suffix[1:].isdigit():
        return path.suffix.lower() in SUFFIXES  # a broken link too: reading it says so
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return _is_dicom(file.read(132))
    except OSError:
        return True  # reading it says why


def _is_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def _decode(data: bytes) -> Radiograph:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers are common; what matters is whether pixels come out
        if not _is_dicom(data):
            grey = read_raster(data)
            if grey is not None:
                return Radiograph(stretch(grey))
            if not data.startswith(DICOM_STARTS):
                kind = foreign_kind(data)
                named = f", but {kind}" if kind else ""
                raise InputError(f"not an image that can be read{named}; export the radiograph as PNG or DICOM")

        from boneage_roi.imaging.dicom import read_dicom  # costs a quarter of a second, which others need not pay

        return read_dicom(data)
