"""Read a radiograph from PNG, JPEG, JPEG 2000, WebP, TIFF, BMP, GIF or DICOM."""

import warnings
from dataclasses import replace
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.imaging.files import foreign_kind, read_file, unreadable
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.raster import read_raster
from boneage_roi.imaging.size import with_aspect
from boneage_roi.values import Radiograph, Sex

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jp2", ".webp", ".tif", ".tiff", ".bmp", ".gif", *DICOM_SUFFIXES)
DICOM_STARTS = (b"\x02\0", b"\x08\0", b"\0\x08")
"""The groups, little or big endian, that a DICOM file without preamble begins with."""


def read_radiograph(
    path: str | Path,
    *,
    sex: Sex | None = None,
    chronological_age: float | None = None,
    native_size: tuple[int, int] | None = None,
) -> Radiograph:
    """Read one radiograph, stretched to 0..1 between the 0.1st and the 99.9th percentile.

    MONOCHROME1 is turned here; other dark-on-bright radiographs are turned by the hand frame, which knows where the
    hand is. EXIF orientation is honoured, transparency ignored, and thumbnails beside the image are passed over.

    Args:
        path: PNG, JPEG, JPEG 2000, WebP, TIFF, BMP, GIF (any depth, grey or colour) or DICOM; known by content, not by
            name.
        sex: "M" or "F"; None takes what a DICOM header says.
        chronological_age: months; None takes what a DICOM header says.
        native_size: (width, height) before someone squashed the image. When its aspect differs by more than 1 %, the
            image is resized to it, one side growing: 299 x 299 of 1514 x 2044 becomes 299 x 404.

    Returns:
        The radiograph; its ``source`` is ``path``.

    Raises:
        InputError: no such file, a folder, a pipe or a device, empty, over 512 MB, not an image, damaged, blank, of
            several pages or frames, a side under 64 px, or over 50 megapixels.
    """
    data = read_file(Path(path))
    try:
        radiograph = _decode(data)
        if native_size is not None:
            radiograph = restore_aspect(radiograph, native_size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    age = radiograph.chronological_age if chronological_age is None else chronological_age
    return replace(radiograph, source=str(path), sex=sex or radiograph.sex, chronological_age=age)


def restore_aspect(radiograph: Radiograph, native_size: tuple[int, int]) -> Radiograph:
    """Undo a squash: give the pixels the aspect of ``native_size`` (width, height) by making one side longer."""
    pixels = with_aspect(radiograph.pixels, native_size[0] / native_size[1])
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
