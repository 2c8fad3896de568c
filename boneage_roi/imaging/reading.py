"""Read a radiograph from PNG, JPEG, WebP, TIFF, BMP or DICOM."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.errors import InputError
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.size import check_size, image_size
from boneage_roi.values import Radiograph, Sex

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", *DICOM_SUFFIXES)


def read_radiograph(
    path: str | Path,
    *,
    sex: Sex | None = None,
    chronological_age: float | None = None,
    native_size: tuple[int, int] | None = None,
) -> Radiograph:
    """Read one radiograph, stretched to 0..1 between the 0.1st and the 99.9th percentile.

    MONOCHROME1 is turned here; other dark-on-bright radiographs are turned by the hand frame, which knows where the
    hand is. EXIF orientation is honoured, transparency ignored, and of a file with several pages the first is read.

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP (8 to 16 bit or float, grey or colour) or DICOM; known by content, not by name.
        sex: "M" or "F"; None takes what a DICOM header says.
        chronological_age: months; None takes what a DICOM header says.
        native_size: (width, height) before someone squashed the image. When its aspect differs by more than 1 %, the
            image is resized to it, one side growing: 299 x 299 of 1514 x 2044 becomes 299 x 404.

    Returns:
        The radiograph; its ``source`` is ``path``.

    Raises:
        InputError: no such file, a folder, empty, not an image, damaged, blank, a DICOM file of several frames, a side
            under 64 px, or over 100 megapixels.
    """
    try:
        radiograph = _decode(_read_bytes(Path(path)))
        if native_size is not None:
            radiograph = restore_aspect(radiograph, native_size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    age = radiograph.chronological_age if chronological_age is None else chronological_age
    return replace(radiograph, source=str(path), sex=sex or radiograph.sex, chronological_age=age)


def restore_aspect(radiograph: Radiograph, native_size: tuple[int, int]) -> Radiograph:
    """Undo a squash: give the pixels the aspect of ``native_size`` (width, height) by making one side longer."""
    height, width = radiograph.pixels.shape
    aspect = native_size[0] / native_size[1]
    if abs(width / height / aspect - 1) <= 0.01:
        return radiograph
    size = (width, round(width / aspect)) if width / height > aspect else (round(height * aspect), height)
    check_size(*size)
    pixels = np.asarray(cv2.resize(radiograph.pixels, size, interpolation=cv2.INTER_LINEAR), np.float32)
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
    images = sorted(path for path in folder.iterdir() if _looks_like_image(path))
    if not images:
        raise InputError(f"{folder}: no images in this folder; expected {', '.join(SUFFIXES)}")
    return images


def _looks_like_image(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "DICOMDIR" or not path.is_file():
        return False
    if path.suffix and not path.suffix[1:].isdigit():
        return path.suffix.lower() in SUFFIXES
    with path.open("rb") as file:
        return _is_dicom(file.read(132))


def _is_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError("is a folder; give an image file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file; check the path") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}); check the path and its permissions") from error
    if not data:
        raise InputError("the file is empty; copy or export it again")
    return data


def _decode(data: bytes) -> Radiograph:
    if not _is_dicom(data):
        size = image_size(data)
        if size is not None:
            check_size(*size)
        grey = _decode_raster(data)
        if grey is not None:
            check_size(grey.shape[1], grey.shape[0])
            return Radiograph(stretch(grey))
        if size is not None:
            raise InputError("the image is damaged or incomplete; copy or export it again")

    from boneage_roi.imaging.dicom import read_dicom  # costs a quarter of a second, which other formats need not pay

    radiograph = read_dicom(data)
    if radiograph is None and _is_dicom(data):
        raise InputError("the DICOM file is damaged or holds no image; export it again")
    if radiograph is None:
        raise InputError("not an image; expected PNG, JPEG, WebP, TIFF, BMP or DICOM")
    return radiograph


def _decode_raster(data: bytes) -> NDArray[np.number[Any]] | None:
    """Grey pixels (H, W) of any format that OpenCV knows; None when it cannot decode them."""
    if data.startswith(b"\x89PNG") and b"IEND" not in data:
        return None  # cut short; libpng would say so on stderr itself
    with _quiet_opencv():
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
        except cv2.error:
            return None
    if pixels is None:
        return None
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        pixels = pixels.astype(np.float32)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's warnings about damaged files off stderr, where one line of ours says it."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
