"""What the directories of a TIFF file say of its pages, before anything is decoded."""

import struct
from enum import IntEnum

_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MOST_PAGES, _MOST_TAGS = 100, 1000


class Tag(IntEnum):
    """What matters of a page."""

    SUBFILE = 254
    OLD_SUBFILE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    PHOTOMETRIC = 262
    SAMPLES = 277
    PLANES = 284
    FORMAT = 339


Page = dict[Tag, int]
_WANTED = frozenset(Tag)


def tiff_pages(data: bytes) -> list[Page]:
    """Read the directories of a TIFF or BigTIFF file.

    Not by Pillow, which refuses some depths, and does not look how often it reads the same bytes.

    Returns:
        For each page the first number of each :class:`Tag` that it has.

    Raises:
        struct.error, ValueError: the file is damaged.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = 43 in data[2:4]
    first, count_format, entry_format = (8, "Q", "HHQ") if big else (4, "H", "HHI")
    offset_format = order + ("Q" if big else "I")
    offset_size = struct.calcsize(offset_format)
    pages: dict[int, Page] = {}
    (offset,) = struct.unpack_from(offset_format, data, first)
    while offset and offset not in pages and len(pages) < _MOST_PAGES:
        page = pages[offset] = {}
        (count,) = struct.unpack_from(order + count_format, data, offset)
        offset += struct.calcsize(order + count_format)
        claimed = 0
        for _ in range(count):
            tag, kind, values = struct.unpack_from(order + entry_format, data, offset)
            claimed += values
            if count > _MOST_TAGS or claimed > len(data):
                raise ValueError("Pillow would read the same bytes again and again")
            offset += struct.calcsize(order + entry_format)
            if tag in _WANTED and kind in _NUMBERS:
                number = order + _NUMBERS[kind]
                here = values * struct.calcsize(number) <= offset_size  # else the offset of the values
                place = offset if here else struct.unpack_from(offset_format, data, offset)[0]
                page.setdefault(Tag(tag), struct.unpack_from(number, data, place)[0])
            offset += offset_size
        (offset,) = struct.unpack_from(offset_format, data, offset)
    return list(pages.values())
