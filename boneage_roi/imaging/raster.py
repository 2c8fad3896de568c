"""Grey pixels of PNG, JPEG, JPEG 2000, WebP, TIFF, BMP and GIF files."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes.util import find_library
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, Jpeg2KImagePlugin, WebPImagePlugin  # noqa: F401  else Pillow loads all of its 40 formats

from boneage_roi.errors import InputError
from boneage_roi.imaging.size import LARGEST_PIXELS, check_size
from boneage_roi.imaging.tiff import Tag, tiff_pages

Grey = NDArray[np.integer[Any] | np.floating[Any]]

_SIGNATURES = re.compile(
    rb"(?P<PNG>\x89PNG)|(?P<JPEG>\xff\xd8)|(?P<WEBP>RIFF.{4}WEBP)|(?P<TIFF>II[*+]\0|MM\0[*+])"
    rb"|(?P<BMP>BM)|(?P<GIF>GIF8)|(?P<JPEG2000>\0\0\0\x0cjP  |\xff\x4f\xff\x51)",
    re.DOTALL,
)
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_raster(data: bytes) -> Grey | None:
    """Decode an image file to grey, at its own depth.

    EXIF orientation is honoured, transparency ignored. Size and number of pages are checked before pixels are decoded.

    Returns:
        (H, W) of any real type, or None when the file is of another format.

    Raises:
        InputError: damaged, of several pages or frames, a side under 64 px, or over 50 megapixels.
    """
    signature = _SIGNATURES.match(data)
    if signature is None:
        return None
    name = str(signature.lastgroup)
    try:
        return _read_tiff(data) if name == "TIFF" else _read(data, name)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"the image is too large; reduce it to {LARGEST_PIXELS // 10**6} megapixels") from None
    except Exception as error:  # each format's decoder raises its own kinds
        raise InputError(
            f"the {name} file is damaged, incomplete or of a rare kind; copy it again, or export it as PNG or DICOM"
        ) from error


def _read(data: bytes, name: str) -> Grey:
    image: Image.Image = Image.open(BytesIO(data), formats=[name])
    check_size(*image.size)
    if image.format != "MPO":  # a phone's JPEG: its further pictures are previews and brightness maps
        _refuse_pages(getattr(image, "n_frames", 1), "frames")
    if name == "PNG":
        Image.open(BytesIO(data), formats=[name]).verify()  # loading leaves checksums out
        if data[24] == 16 and image.mode in ("RGB", "RGBA"):
            return _decode(data)  # Pillow keeps 16 bits of grey, but only 8 of colours
    return _grey(image)


def _grey(image: Image.Image) -> Grey:
    """Decode with Pillow, to grey and upright."""
    image.load()  # asking for EXIF may load too, and its errors do not matter
    image.info.pop("transparency", None)
    orientation = 1
    with suppress(Exception):  # whatever may be wrong with EXIF, it is not the image
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    return np.asarray(image if image.mode.startswith(("I", "F")) else image.convert("L"))


def _read_tiff(data: bytes) -> Grey:
    """Decode a TIFF: up to 8 bits with Pillow, which finds damage; deeper with OpenCV, which knows more depths."""
    pages = tiff_pages(data)
    full = [page for page in pages if not page.get(Tag.SUBFILE, 0) & 0b101 and page.get(Tag.OLD_SUBFILE) != 2]
    _refuse_pages(len(full), "pages")  # thumbnails and masks are none
    page = full[0] if full else pages[0]
    depth, samples, number = page.get(Tag.BITS, 1), page.get(Tag.SAMPLES, 1), pages.index(page)
    check_size(page[Tag.WIDTH], page[Tag.HEIGHT], depth * samples)
    if depth <= 8 and page.get(Tag.FORMAT) != 2:  # not signed
        image = Image.open(BytesIO(data), formats=["TIFF"])
        image.seek(number)
        check_size(*image.size)
        _quiet_libtiff()
        return _grey(image)
    if page.get(Tag.PLANES) == 2 and samples > 1:
        raise InputError("the TIFF file keeps its colours in separate planes; export it as PNG or DICOM")
    grey = _decode(data, number)
    if page.get(Tag.PHOTOMETRIC) == 0:  # white is zero, which OpenCV does not heed
        return np.asarray(-grey if grey.dtype.kind == "f" else np.invert(grey))
    return grey


def _refuse_pages(number: int, name: str) -> None:
    if number > 1:
        raise InputError(f"the file holds {number} {name}; give one file a radiograph")


def _decode(data: bytes, page: int = 0) -> Grey:
    """Decode one page with OpenCV."""
    with _quiet_opencv():
        flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
        _, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), flags, range=(page, page + 1))
    pixels: Grey = pages[0]
    if pixels.ndim == 2:
        return pixels
    colour = pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
    return cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's warnings about damaged files off stderr, where one line of ours says it."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


@cache
def _quiet_libtiff() -> None:
    """Keep what Pillow's libtiff prints about damage off stderr, where one line of ours says it.

    Its error handler is taken away; the process's stderr, to which other threads may write, stays as it is. Where
    Pillow has libtiff built in (Windows), its lines are shown.
    """
    packages = Path(PIL.__file__).parents[1]
    bundled = [*packages.glob("[Pp]illow.libs/libtiff*"), *packages.glob("PIL/.dylibs/libtiff*")]
    for name in [*map(str, bundled), find_library("tiff")]:
        with suppress(OSError, AttributeError, TypeError):
            library = ctypes.CDLL(name)
            library.TIFFSetErrorHandler.argtypes = (ctypes.c_void_p,)
            library.TIFFSetErrorHandler(None)
            return
