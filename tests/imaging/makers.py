"""Radiographs for tests: a grey ramp in every format and encoding, and files that lie about what they are."""

import base64
import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from boneage_roi.imaging.intensity import stretch

HEIGHT, WIDTH = 120, 90


def ramp(levels: int = 256) -> NDArray[np.uint16]:
    """Grey values that grow to the right and downwards, so that turning, flipping and rounding all show."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    values = (2 * rows + columns) / (2 * (HEIGHT - 1) + WIDTH - 1)
    return np.asarray(np.rint(values * (levels - 1)), dtype=np.uint16)


EXPECTED = stretch(ramp(65536))
GREY = ramp().astype(np.uint8)


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    """An image file by Pillow."""
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def image_file(suffix: str, image: NDArray[Any], *parameters: int) -> bytes:
    """An image file by OpenCV, which cannot write every GIF."""
    if suffix == ".gif":
        return encoded(Image.fromarray(image), "GIF")
    return cv2.imencode(suffix, image, list(parameters))[1].tobytes()


def write(path: Path, image: NDArray[Any], *parameters: int) -> Path:
    path.write_bytes(image_file(path.suffix, image, *parameters))
    return path


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(image: NDArray[Any], colour_type: int, *extra: bytes, interlaced: bool = False) -> bytes:
    """A PNG of any kind; extra chunks go before the pixels."""
    height, width = image.shape[:2]
    big = image.astype(image.dtype.newbyteorder(">"))
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [big[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [big]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    bits = 8 * image.itemsize
    start = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced))
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", start, *extra, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    )


def tiff(*pages: NDArray[Any], tags: Sequence[Mapping[int, int]] = (), order: str = "<", big: bool = False) -> bytes:
    """A TIFF of uncompressed grey pages; ``tags`` set or replace some of each page's."""
    number = order + ("Q" if big else "I")
    size = struct.calcsize(number)
    data = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    data += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    for place, page in enumerate(pages):
        entries = {256: page.shape[1], 257: page.shape[0], 258: 8 * page.itemsize, 259: 1, 262: 1, 277: 1}
        entries |= {278: page.shape[0], 279: page.nbytes, 339: {"u": 1, "i": 2, "f": 3}[page.dtype.kind]}
        entries |= tags[place] if place < len(tags) else {}
        pixels = len(data) + (8 if big else 2) + (len(entries) + 1) * (4 + 2 * size) + size
        data += struct.pack(order + ("Q" if big else "H"), len(entries) + 1)
        for tag, value in sorted({**entries, 273: pixels}.items()):
            data += struct.pack(order + "HH", tag, 4) + struct.pack(number, 1)
            data += struct.pack(order + "I", value).ljust(size, b"\0")
        data += struct.pack(number, pixels + page.nbytes if place + 1 < len(pages) else 0)
        data += page.astype(page.dtype.newbyteorder(">" if order == ">" else "<")).tobytes()
    return data


def oversized(suffix: str, width: int, height: int, *parameters: int) -> bytes:
    """A small file whose header states a large size."""
    data = bytearray(image_file(suffix, np.zeros((128, 64), np.uint8), *parameters))
    if suffix == ".png":
        data[8:33] = png_chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29])
    elif suffix == ".bmp":
        data[18:26] = struct.pack("<ii", width, -height)
    elif suffix == ".gif":
        data[6:10] = struct.pack("<HH", width, height)
    elif suffix == ".jp2":
        place = data.index(b"\xff\x4f\xff\x51") + 8
        data[place : place + 8] = struct.pack(">II", width, height)
        place = data.index(b"ihdr") + 4
        data[place : place + 8] = struct.pack(">II", height, width)
    elif suffix == ".jpg":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif data[12:16] == b"VP8L":
        struct.pack_into("<I", data, 21, (width - 1) | (height - 1) << 14)
    elif data[12:16] == b"VP8 ":
        struct.pack_into("<HH", data, 26, width, height)
    else:  # TIFF: ImageWidth and ImageLength, each one SHORT
        for tag, side in ((256, width), (257, height)):
            struct.pack_into("<H", data, data.rindex(struct.pack("<HHI", tag, 3, 1)) + 8, side)
    return bytes(data)


def header(stored: NDArray[Any], bits: int = 12, **attributes: object) -> Dataset:
    """A computed radiograph with these stored pixels; attributes set or replace header fields."""
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * stored.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OB" if stored.itemsize == 1 else "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def compressed(dataset: Dataset, syntax: str, frame: bytes) -> Dataset:
    """The data set with its pixels replaced by an encoded frame."""
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return dataset


def dicom(dataset: Dataset) -> bytes:
    """The bytes of a DICOM file."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def lookup_table(entries: NDArray[Any], first: int, bits: int) -> Dataset:
    """An item of a modality or VOI LUT sequence."""
    table = Dataset()
    table.LUTDescriptor = [len(entries) % 65536, first, bits]
    table.LUTData = entries.tobytes()
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    return table


STEPS = (np.mgrid[:64, :80][1] // 8 * 400 + np.mgrid[:64, :80][0] // 16 * 20).astype(np.uint16)
"""What the next two show, 12 bits deep; encoded by imagecodecs, as nothing that is installed here can."""
JPEG_LOSSLESS = zlib.decompress(
    base64.b85decode(
        "c-s4a<Npx`2?j<GU_b&aoUA<m4>NG{FgP#-Ffs@-{J+J(0aU@p!0`D$L&Hr5X$9sKhMWf835=T<%pBNGFx+GqoIuuV71?0Lp!5;*%24v"
        "b;EbeFE%GC2!Qk}L|C<1%ZFTS"
    )
)
JPEG_LS = zlib.decompress(
    base64.b85decode(
        "c-s4a<Npf=4h9AW#{W0|e`nwpU~pgvU}O|z`2T}}m+}991|bG#MiB;w|F;-87#V@;82&u|z{Jp?Ai%-G!1+Ujixmi1Sl+0Bfr4<s1u!_"
        "^bHoJ<81+TLK!jyY3K%3X1owf#90rjT6^(#}R^<WA2CN6f8FsK9&|@qRXMDu;Ko5dg5A2Xt@MC!ZM+FTZ)R_v@Ssu(0ZYn5f1XF&T2QA"
        "duIpjbTHVGSb&O-%rK*U4#mWLL8!XQFM;lmuL_~8~gu#mcN=W&jTIUxGTqryXS5ZYo+K|6%@Q<qVE0s+qi<}o-3urM()GzctW1Oo=A3="
        "R$s0R;y^6%g6T(6PXwk%@(arHMtrkwt*x3y5@3o&Y2r8Ks&y6q-0Vj)24*8Ps9G!hJFX%uzlG0+*K;%$sXf@)8?8uk!i4${+DIpU>NT{"
        ";&_kdH%2l#5sTHCx|n@70j{c265)qiGw&cfAqoHK6E~45@=CSUC7}i&@iP%k;93}O8`i50{JZp%0OWyCMzW+C6*Lm1ah3{=;#ofC@3h%"
        ";BP~u1!TGls_mgLFzqyos!Vd2ii9VEu+|D8tyL^ts~VM7tzfF8y3JU%{l5tSp8RFh"
    )
)
