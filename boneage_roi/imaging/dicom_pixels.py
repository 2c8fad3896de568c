"""The pixels of a DICOM image as a viewer shows them."""

import contextlib
import struct
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import get_parameters
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut, apply_rescale
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from boneage_roi.errors import InputError
from boneage_roi.imaging.size import check_size
from boneage_roi.values import BoolImage, FloatImage

Numbers = NDArray[np.integer[Any] | np.floating[Any]]


def displayed_pixels(header: Dataset) -> FloatImage:
    """Decode the pixels, and show them as the header asks for: bright where a viewer has them bright.

    Args:
        header: of a single image of a size that has been checked.

    Returns:
        float32 (H, W), in no particular range.

    Raises:
        InputError: the pixels cannot be decoded.
    """
    try:
        _name_transfer_syntax(header)
        _check_layout(header)
        stored = pixel_array(header)
        del header.PixelData  # room for what follows
        return _as_displayed(stored, header)
    except InputError:
        raise
    except Exception as error:  # each decoder raises its own kind, and quotes the header in it
        raise InputError(
            "the DICOM pixels cannot be decoded (damaged, or of a kind that is not supported); export it again"
        ) from error


def _name_transfer_syntax(header: Dataset) -> None:
    """A file without preamble has no meta group: name the encoding that parsing has found."""
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _check_layout(header: Dataset) -> None:
    """Refuse what would be decoded wrongly, or into another size than the header's."""
    if header.get("HighBit", header.BitsStored - 1) != header.BitsStored - 1:
        raise InputError("the DICOM file keeps its pixels in unusual bits (HighBit); export it again")
    check_size(header.Columns, header.Rows, header.BitsAllocated * header.SamplesPerPixel)
    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in JPEG2000TransferSyntaxes + JPEGTransferSyntaxes + JPEGLSTransferSyntaxes:
        return
    frame = get_frame(header.PixelData, 0, number_of_frames=1)
    size_of = _jpeg2000_size if syntax in JPEG2000TransferSyntaxes else _jpeg_size
    if size_of(frame) != (header.Columns, header.Rows):
        raise InputError("the DICOM header and its compressed image say different sizes; export it again")


def _jpeg2000_size(frame: bytes) -> tuple[int, int]:
    parameters = get_parameters(frame)
    return cast(int, parameters["columns"]), cast(int, parameters["rows"])


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, lossless JPEG or JPEG-LS. Not by pylibjpeg, which makes room for all pixels first."""
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == 0xFFF7 or (0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC)):
            height, width = struct.unpack_from(">HH", frame, position + 5)
            return width, height
        position += 1 if marker == 0xFFFF else 2 + length  # FF may be repeated as filling


def _as_displayed(stored: Numbers, header: Dataset) -> FloatImage:
    photometric = str(header.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, header)
    if stored.ndim == 3:
        colour = stored if stored.itemsize < 4 else stored.astype(np.float32)
        return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.float32)
    padding = _padding(stored, header)
    grey = _windowed(_modality(stored, header).astype(np.float32, copy=False), header)
    # MONOCHROME1 images carry INVERSE as well, which says the same once more.
    if photometric == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE":
        grey = -grey
    if padding.any() and not padding.all():
        grey[padding] = grey[~padding].min()  # far outside the range of real values, it would eat the contrast
    return grey


def _padding(stored: Numbers, header: Dataset) -> BoolImage:
    """Where pixels only fill the frame."""
    first = header.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(stored.shape, bool)
    last = header.get("PixelPaddingRangeLimit")
    # A cast, because signed values are sometimes written as unsigned ones.
    low, high = np.sort(np.array([first, last if isinstance(last, int) else first]).astype(stored.dtype))
    return np.asarray((stored >= low) & (stored <= high))


def _modality(stored: Numbers, header: Dataset) -> Numbers:
    """Stored values in the units of the modality."""
    if tables := header.get("ModalityLUTSequence"):
        return _look_up(stored, tables[0], header)
    if header.get("RescaleSlope") is None or header.get("RescaleIntercept") is None:
        return stored
    return apply_rescale(stored, header)


def _windowed(values: FloatImage, header: Dataset) -> FloatImage:
    """The values after the first VOI LUT or window; one that cannot be used, or shows nothing, is as good as none."""
    shown = values
    with contextlib.suppress(Exception):
        tables = header.get("VOILUTSequence")
        shown = _look_up(values, tables[0], header).astype(np.float32) if tables else _window(values, header)
    return shown if np.isfinite(shown).all() and shown.min() < shown.max() else values


def _window(values: FloatImage, header: Dataset) -> FloatImage:
    """DICOM PS3.3 C.11.2.1.2 and .3, to 0..1. pydicom's turns the image when the rescale slope is negative."""
    centers, widths = header.get("WindowCenter"), header.get("WindowWidth")
    if centers is None or widths is None:
        return values
    center, width = float(np.atleast_1d(centers)[0]), float(np.atleast_1d(widths)[0])
    function = header.get("VOILUTFunction") or "LINEAR"
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width <= 0:
        return values
    offset = (values - center) / width
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * offset)))
    return (offset + 0.5).clip(0, 1)


def _look_up(values: Numbers, table: Dataset, header: Dataset) -> Numbers:
    """DICOM PS3.3 C.11.1.1. pydicom's wraps positions beyond 255 where entries have 8 bits."""
    entries, first, _ = table.LUTDescriptor
    data = table.LUTData
    if isinstance(data, bytes):
        wide = len(data) >= 2 * (entries or 2**16)
        order = ">" if header.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
        data = np.frombuffer(data, f"{order}u2" if wide else "u1")
    entry = np.asarray(data)[: entries or 2**16]
    return np.asarray(entry[np.rint(values - np.float32(first)).astype(np.int32).clip(0, len(entry) - 1)])
