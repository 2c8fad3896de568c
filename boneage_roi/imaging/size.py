"""How large an image is, from its first bytes, so that "too large" is said before gigabytes are decoded."""

import struct

from boneage_roi.errors import InputError

SMALLEST_SIDE = 64
LARGEST_PIXELS = 100_000_000


def check_size(width: int, height: int) -> None:
    """Refuse what is no radiograph's size.

    Raises:
        InputError: a side under 64 px, or over 100 megapixels.
    """
    if min(width, height) < SMALLEST_SIDE:
        raise InputError(f"{width} x {height} px is too small; a side needs at least {SMALLEST_SIDE} px")
    if width * height > LARGEST_PIXELS:
        raise InputError(f"{width} x {height} px is too large; reduce it to {LARGEST_PIXELS // 10**6} megapixels")


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG, JPEG, WebP, TIFF or BMP file states.

    Returns:
        (width, height) in pixels before any EXIF orientation, or None for other formats and broken headers.
    """
    try:
        if data.startswith(b"\x89PNG"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
            return width, abs(height)  # a negative height means rows from the top
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
        if data[8:12] == b"WEBP":
            return _webp_size(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(data)
    except struct.error:
        pass
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, position)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):  # start of frame; not DHT, JPG, DAC
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        if marker <= 0xFF00:
            return None
        position += 1 if marker == 0xFFFF else 2 + length  # FF may be repeated as filling


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, directory)
    sides = {}
    for entry in range(entries):
        tag, kind = struct.unpack_from(order + "HH", data, directory + 2 + 12 * entry)
        if tag in (256, 257):  # ImageWidth, ImageLength, as SHORT (3) or LONG (4)
            (sides[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, directory + 10 + 12 * entry)
    return (sides[256], sides[257]) if len(sides) == 2 else None
